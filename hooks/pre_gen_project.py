"""Refuses tools and answers that could not give a working project, before anything is written."""

import importlib.util
import json
import keyword
import re
import sys
import unicodedata
import zoneinfo
from pathlib import Path

RESERVED_SLUGS = {"django", "config", "core", "apps", "tests"}
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME = r"(?=.{1,253}\Z)(?:" + LABEL + r"\.)*(?![0-9]+\Z)" + LABEL
EMAIL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:" + LABEL + r"\.)+" + LABEL


def check_tools(template):
    # Read and not imported, which takes newer releases 0.1 s: they need not name their version in their source.
    package = importlib.util.find_spec("cookiecutter")
    source = Path(package.origin).read_text(encoding="utf-8") if package else ""
    if re.search(r"__version__ = .(0|1|2\.0|2\.1\.0)\b", source) or sys.version_info < (3, 10):
        old = "This Cookiecutter, or its Python, is too old: the template needs 2.1.1 or later, on Python 3.10 or later"
        sys.exit(f"{old}, and `uvx cookiecutter {template}` runs one without installing it.")


def check_text(answers):
    for question, answer in answers.items():
        # Control characters, Unicode's own line and paragraph breaks, half a surrogate pair.
        if any(unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"} for character in answer):
            yield f"{question} holds a control character or a line break; write plain text on one line"
    if not answers["project_name"].strip():
        yield "project_name is empty; give the project a name"


def check_slug(answers):
    slug = answers["project_slug"]
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", slug):
        yield f"project_slug {slug!r} must be a lower-case letter, then at most 49 lower-case letters, digits or _"
    elif keyword.iskeyword(slug) or slug in sys.stdlib_module_names | RESERVED_SLUGS:
        yield f"project_slug {slug!r} is taken by Python, Django or the project's own folders; choose another"


def check_email(answers):
    if not re.fullmatch(EMAIL, answers["author_email"]):
        yield f"author_email {answers['author_email']!r} must be an address such as name@example.com"


def check_domain(answers):
    if not re.fullmatch(HOST_NAME, answers["domain_name"]):
        yield f"domain_name {answers['domain_name']!r} must be a bare host name such as www.example.com"


def check_time_zone(answers):
    # The list takes 0.05 s to read, and is empty on Windows, where Django checks the name when it starts.
    name = answers["time_zone"]
    if name != "UTC" and (known := zoneinfo.available_timezones()) and name not in known:
        yield f"time_zone {name!r} must be an IANA name such as Europe/Paris or UTC"


def find_problems(answers):
    """Every problem with the answers (question to answer), a sentence each; empty where there are none."""
    checks = (check_text, check_slug, check_email, check_domain, check_time_zone)
    return [problem for check in checks for problem in check(answers)]


def main():
    context = json.loads(r"""{{ cookiecutter | tojson }}""")
    answers = {question: answer for question, answer in context.items() if not question.startswith("_")}
    check_tools(context["_template"])
    if problems := find_problems(answers):
        hint = 'The template\'s README says under "Answering again" how to correct these and keep the others.'
        sys.exit("\n  - ".join(["These answers cannot be used:", *problems]) + f"\n{hint}")


if __name__ == "__main__":
    main()
