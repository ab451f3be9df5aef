"""Refuse answers that cannot give a working project, before anything is written."""

import json
import keyword
import re
import sys
import unicodedata
import zoneinfo

RESERVED_SLUGS = {"django", "config", "core", "apps", "tests"}
UNPRINTABLE = {"Cc", "Zl", "Zp", "Cs"}
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME = r"(?=.{1,253}\Z)(?:" + LABEL + r"\.)*(?![0-9]+\Z)" + LABEL
EMAIL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:" + LABEL + r"\.)+" + LABEL


def check_text(answers):
    for question, answer in answers.items():
        # Control characters, Unicode's line and paragraph breaks, half surrogate pairs.
        if {unicodedata.category(character) for character in answer} & UNPRINTABLE:
            problem = "holds a control character or a line break"
            yield f"{question} {problem}; write plain text on one line"
    if not answers["project_name"].strip():
        yield "project_name is empty; give the project a name"


def check_slug(answers):
    slug = answers["project_slug"]
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", slug):
        form = "a lower-case letter, then at most 49 lower-case letters, digits or _"
        yield f"project_slug {slug!r} must be {form}"
    elif keyword.iskeyword(slug) or slug in sys.stdlib_module_names | RESERVED_SLUGS:
        owners = "Python, Django or a folder of the project"
        yield f"project_slug {slug!r} is a name of {owners}; choose another"


def check_email(answers):
    address = answers["author_email"]
    if not re.fullmatch(EMAIL, address):
        yield f"author_email {address!r} must be an address such as name@example.com"


def check_domain(answers):
    name = answers["domain_name"]
    if not re.fullmatch(HOST_NAME, name):
        yield f"domain_name {name!r} must be a bare host name such as www.example.com"


def check_time_zone(answers):
    zone = answers["time_zone"]
    known = zoneinfo.available_timezones()  # empty on Windows: Django checks the name
    if known and zone not in known:
        yield f"time_zone {zone!r} must be an IANA name such as Europe/Paris or UTC"


def find_problems(answers):
    """Return a sentence for each problem with the answers (by question)."""
    checks = (check_text, check_slug, check_email, check_domain, check_time_zone)
    return [problem for check in checks for problem in check(answers)]


def main():
    context = json.loads(r"""{{ cookiecutter | tojson }}""")
    answers = {name: context[name] for name in context if not name.startswith("_")}
    if problems := find_problems(answers):
        sys.exit("\n  - ".join(["These answers cannot be used:", *problems]))


if __name__ == "__main__":
    main()
