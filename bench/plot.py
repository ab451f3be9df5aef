"""Draw the figures: a bar for each ratio, and a mark at its limit."""

from html import escape

from bench.figures import Figure

# Pixels: the width of the picture, of its names, of its values; the height of a row.
WIDTH, LEFT, RIGHT, LINE = 820, 290, 150, 24
TITLE = "The costs of production features, as ratios to bare Django"
LEGEND = (
    "Ratio to bare Django (thin line). "
    "A bar reaches its mark (≥, requests/s) or ends before it (≤, costs)."
)
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .name { text-anchor: end }
.paper { fill: #fff } .bare { stroke: #818b98 }
.limit { stroke: #1f2328; stroke-width: 3 } .yes { fill: #54aeff }
.no { fill: #fb8f44 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .paper { fill: #0d1117 } .limit { stroke: #f0f6fc }
  .yes { fill: #1f6feb } .no { fill: #bd561d }
}
"""


def plot(figures: list[Figure]) -> str:
    """Return an SVG with its own background, readable in light and dark mode."""
    largest = max(max(figure.ratio, figure.limit) for figure in figures)
    scale = (WIDTH - LEFT - RIGHT) / largest
    height, bare = LINE * (len(figures) + 2), f"{LEFT + scale:.1f}"
    view = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    svg = f"""<svg xmlns="http://www.w3.org/2000/svg" {view}>
<title>{TITLE}</title>
<style>{STYLE}</style>
<rect class="paper" width="{WIDTH}" height="{height}"/>
<text x="20" y="19">{LEGEND}</text>
<line class="bare" x1="{bare}" x2="{bare}" y1="{LINE}" y2="{height - LINE // 2}"/>
"""
    for y, figure in enumerate(figures, start=1):
        ratio, limit = figure.ratio * scale, f"{figure.limit * scale:.1f}"
        value = f"{figure.ratio:.2f} ({figure.wanted}: {figure.holds})"
        svg += f"""<g transform="translate({LEFT}, {y * LINE + LINE // 2})">
<text class="name" x="-10" y="5">{escape(figure.name)}</text>
<rect class="{figure.holds}" y="-8" width="{ratio:.1f}" height="16"/>
<line class="limit" x1="{limit}" x2="{limit}" y1="-11" y2="11"/>
<text x="{WIDTH - LEFT - RIGHT + 10}" y="5">{value}</text>
</g>
"""
    return f"{svg}</svg>\n"
