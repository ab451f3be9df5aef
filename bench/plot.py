"""The figures as a picture: a bar for each ratio, and a mark where its limit is."""

from html import escape

from bench.figures import Figure

WIDTH, LEFT, RIGHT, LINE = (
    820,
    290,
    150,
    24,
)  # px: the picture, its names, its values and the height of a row
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .name { text-anchor: end }
.paper { fill: #fff } .bare { stroke: #818b98 } .limit { stroke: #1f2328; stroke-width: 3 }
.yes { fill: #54aeff } .no { fill: #fb8f44 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .paper { fill: #0d1117 } .limit { stroke: #f0f6fc }
  .yes { fill: #1f6feb } .no { fill: #bd561d }
}
"""


def plot(figures: list[Figure]) -> str:
    """An SVG, which brings its own background and is readable in light and dark."""
    scale = (WIDTH - LEFT - RIGHT) / max(
        max(figure.ratio, figure.limit) for figure in figures
    )
    height, bare = LINE * (len(figures) + 2), LEFT + scale
    svg = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">
<title>The costs of production features, as ratios to bare Django</title>
<style>{STYLE}</style>
<rect class="paper" width="{WIDTH}" height="{height}"/>
<text x="20" y="19">Ratio to bare Django (thin line). A bar reaches its mark (≥, requests/s) or ends before it (≤, costs).</text>
<line class="bare" x1="{bare:.1f}" x2="{bare:.1f}" y1="{LINE}" y2="{height - LINE // 2}"/>
"""
    for y, figure in enumerate(figures, start=1):
        ratio, limit = figure.ratio * scale, figure.limit * scale
        svg += f"""<g transform="translate({LEFT}, {y * LINE + LINE // 2})">
<text class="name" x="-10" y="5">{escape(figure.name)}</text>
<rect class="{figure.holds}" y="-8" width="{ratio:.1f}" height="16"/>
<line class="limit" x1="{limit:.1f}" x2="{limit:.1f}" y1="-11" y2="11"/>
<text x="{WIDTH - LEFT - RIGHT + 10}" y="5">{figure.ratio:.2f} ({figure.wanted}: {figure.holds})</text>
</g>
"""
    return f"{svg}</svg>\n"
