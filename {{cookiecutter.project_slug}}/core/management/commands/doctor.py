"""Tell what is wrong with this machine or server, and what to do."""

import json
import logging
from argparse import ArgumentParser
from importlib import import_module
from typing import Any

from django.core import checks
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="write JSON")
        parser.add_argument(
            "--fail-level",
            choices=["ERROR", "WARNING"],
            default="WARNING",
            help="the status is 1 from this level on",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        import_module("core.doctor")
        # The log may go to the same place, and would tell each fault again.
        logging.disable()
        found = checks.run_checks(tags=["doctor"], include_deployment_checks=True)
        rows = [
            {
                "probe": str(message.id).removeprefix("doctor."),
                "level": type(message).__name__.lower(),
                "fault": message.msg,
                "cure": message.hint,
            }
            for message in sorted(found, key=lambda message: message.id or "")
        ]
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2))
            rows = []
        for row in rows:
            if row["level"] == "info" and not options["verbosity"]:
                continue
            line = f"{row['level']:8} {row['probe']:14} {row['fault']}"
            self.stdout.write(f"{line}. {row['cure']}" if row["cure"] else line)
        worst = getattr(checks, options["fail_level"])
        if any(message.level >= worst for message in found):
            raise SystemExit(1)
