"""Refuse old tools and unusable answers, before anything is written."""

import importlib.util
import json
import keyword
import re
import sys
import unicodedata
import zoneinfo
from pathlib import Path

RESERVED_SLUGS = {"django", "config", "core", "apps", "tests"}
HINT = 'The template\'s README says under "Answering again" how to correct them.'
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME = r"(?=.{1,253}\Z)(?:" + LABEL + r"\.)*(?![0-9]+\Z)" + LABEL
EMAIL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:" + LABEL + r"\.)+" + LABEL


def check_tools(template):
    # Reading is 0.1 s faster than importing. Newer releases have no such line.
    package = importlib.util.find_spec("cookiecutter")
    source = Path(package.origin).read_text(encoding="utf-8") if package else ""
    is_old = re.search(r"__version__ = .(0|1|2\.0|2\.1\.0)\b", source)
    if is_old or sys.version_info < (3, 10):
        needs = "the template needs 2.1.1 or later, on Python 3.10 or later"
        hint = f"`uvx cookiecutter {template}` runs one without installing it"
        sys.exit(f"This Cookiecutter, or its Python, is too old: {needs}, and {hint}.")


def check_text(answers):
    for question, answer in answers.items():
        # Control characters, line and paragraph separators, lone surrogates.
        if {unicodedata.category(sign) for sign in answer} & {"Cc", "Zl", "Zp", "Cs"}:
            yield f"{question} must be one line without control characters"
    if not answers["project_name"].strip():
        yield "project_name is empty; give the project a name"


def check_slug(answers):
    slug = answers["project_slug"]
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", slug):
        yield f"project_slug {slug!r} must be a-z, then up to 49 of a-z, 0-9 and _"
    elif keyword.iskeyword(slug) or slug in sys.stdlib_module_names | RESERVED_SLUGS:
        yield f"project_slug {slug!r} is taken by Python or the project; choose another"


def check_addresses(answers):
    address, name = answers["author_email"], answers["domain_name"]
    if not re.fullmatch(EMAIL, address):
        yield f"author_email {address!r} must be an address such as name@example.com"
    if not re.fullmatch(HOST_NAME, name):
        yield f"domain_name {name!r} must be a bare host name such as www.example.com"


def check_time_zone(answers):
    # Reading the list takes 0.05 s. On Windows it is empty: Django checks the name.
    name = answers["time_zone"]
    if name != "UTC" and name not in (zoneinfo.available_timezones() or {name}):
        yield f"time_zone {name!r} must be an IANA name such as Europe/Paris or UTC"


def check_machine(answers):
    for question, answer in (("database", "sqlite"), ("media_storage", "filesystem")):
        if answers["deployment"] == "kubernetes" and answers[question] == answer:
            yield f"{question} {answer!r} is for one machine, and kubernetes has many"


def find_problems(answers):
    """Return a sentence for each problem with the answers (by question)."""
    checks = (check_text, check_slug, check_addresses, check_time_zone, check_machine)
    return [problem for check in checks for problem in check(answers)]


def main():
    context = json.loads(r"""{{ cookiecutter | tojson }}""")
    answers = {name: context[name] for name in context if not name.startswith("_")}
    check_tools(context["_template"])
    if problems := find_problems(answers):
        message = "\n  - ".join(["These answers cannot be used:", *problems])
        sys.exit(f"{message}\n{HINT}")


if __name__ == "__main__":
    main()
