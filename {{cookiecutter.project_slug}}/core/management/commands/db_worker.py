"""The worker of django-tasks-db, which also outlives an outage and finds lost tasks.

The package's own ends when the database goes away, and leaves the task of a worker that
was killed as running for ever.
"""

import logging
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from threading import Thread
from time import sleep
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.tasks import TaskResultStatus
from django.utils import timezone
from django_tasks_db.management.commands import db_worker
from django_tasks_db.models import DBTaskResult

logger = logging.getLogger(__name__)


class Command(db_worker.Command):
    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        text = "Seconds after which a running task is lost (default: %(default)s)"
        parser.add_argument("--lost-after", type=float, default=3600, help=text)

    def handle(self, **options: Any) -> None:
        find = partial(find_lost_tasks, options["lost_after"])
        Thread(target=outlive_outages, args=(find,), daemon=True).start()
        # The worker asks for a task every second.
        with connection.execute_wrapper(show_life):
            outlive_outages(partial(super().handle, **options))


def show_life(execute: Callable[..., Any], *arguments: Any) -> Any:
    """Touch a file, whose age is the worker's health; docs/operations.md looks at it.

    Tasks run on where it cannot be written.
    """
    with suppress(OSError):
        settings.HEARTBEAT_FILE.touch()
    return execute(*arguments)


def outlive_outages(work: Callable[[], None]) -> None:
    """Call it, and again after each error of the database."""
    while True:
        try:
            return work()
        except Error as error:
            logger.warning("the database fails: %s", type(error).__name__)
            connection.close()
            sleep(2)


def find_lost_tasks(lost_after: float) -> None:
    """Every minute, run tasks again that began so many seconds ago and have not ended."""
    while True:
        began_before = timezone.now() - timedelta(seconds=lost_after)
        lost = DBTaskResult.objects.running().filter(started_at__lt=began_before)
        if count := lost.update(status=TaskResultStatus.READY):
            logger.warning("%s lost tasks are run again", count)
        connection.close()
        sleep(min(lost_after, 60))
