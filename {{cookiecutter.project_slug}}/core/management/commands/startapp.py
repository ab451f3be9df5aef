"""`startapp` makes an app in apps/ out of core/app_template, and registers it.

Comments say where: `# just app NAME adds: …`. The new line goes above each of them.
"""

import keyword
import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.core.management.commands import startapp

ADDS = re.compile(r"^( *)(?:#|{[#]) just app NAME adds: (.+?)(?: [#]})?$", re.MULTILINE)
PLACES = ("apps/*/*.py", "config/**/*.py", "templates/*.html")
ROOT = settings.BASE_DIR
NEEDED = {ROOT / "config" / "settings" / "base.py", ROOT / "config" / "urls.py"}


class Command(startapp.Command):
    help = "Make an app in apps/, with pages and tests, and register it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what it is about, in the plural: shelves")
        parser.add_argument("model", nargs="?", help="one of them: Shelf")

    def handle(self, **options: Any) -> None:  # type: ignore[override]
        name, model = options["name"], options.pop("model")
        singular = re.sub(r"(?<![isu])s$", "", re.sub(r"ies$", "y", name))
        model = model or singular.title().replace("_", "")
        if problem := find_problem(name, model):
            raise CommandError(problem)
        folder, template = ROOT / "apps" / name, ROOT / "core" / "app_template"
        options |= {"directory": str(folder), "template": str(template)}
        super().handle(**options, extensions=["py"], files=[])
        title = name.replace("_", " ").capitalize()
        for path in folder.rglob("*.*"):
            text = path.read_text(encoding="utf-8").replace("gadgets", name)
            text = text.replace("Gadgets", title).replace("Gadget", model)
            path.write_text(text, encoding="utf-8")
        for path, text in find_registers():
            new = ADDS.sub(lambda found: add_line(found, name, title), text)
            path.write_text(new, encoding="utf-8")
        self.stdout.write(f"apps/{name} has the model {model}, and pages at /{name}/.")


def find_problem(name: str, model: str) -> str:
    """Return a sentence against these names, or nothing."""
    # The proxy has the uploads at /media/.
    labels = {"media", *(config.label for config in apps.get_app_configs())}
    models = {each.__name__ for each in apps.get_models()}
    if not re.fullmatch(r"(?=.{1,40}\Z)[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        return f"{name!r} cannot name an app: use a-z, digits and _, as in shelves."
    if keyword.iskeyword(name) or name in labels or (ROOT / "apps" / name).exists():
        return f"{name!r} is taken by Python or by an app: choose another name."
    if hasattr(get_user_model(), name):
        return f"{name!r} is taken by a field of users: choose another name."
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]{0,39}", model) or model in models:
        return f"{model!r} is taken, or cannot name a model: give one: shelves Shelf."
    if not {path for path, _ in find_registers()} >= NEEDED:
        return "A comment 'just app NAME adds: …' is lost in config/: put it back."
    return ""


def find_registers() -> list[tuple[Path, str]]:
    """Return the files that list apps, and their texts."""
    paths = (path for place in PLACES for path in ROOT.glob(place))
    texts = ((path, path.read_text(encoding="utf-8")) for path in paths)
    return [(path, text) for path, text in texts if ADDS.search(text)]


def add_line(found: re.Match[str], name: str, title: str) -> str:
    """Return the line that a comment asks for, and the comment."""
    line = found[1] + found[2].replace("NAME", name).replace("Name", title)
    return f"{line}\n{found[0]}"
