"""The worker of django-tasks-db, which also brings back tasks whose worker was killed, and outlives an outage.

The package leaves such a task as running, where nobody looks at it again, and ends when the database goes away.
"""

import logging
from argparse import ArgumentParser
from datetime import timedelta
from threading import Thread
from time import sleep
from typing import Any

from django.db import Error, connection
from django.tasks import TaskResultStatus
from django.utils import timezone
from django_tasks_db.management.commands import db_worker
from django_tasks_db.models import DBTaskResult

LOOK_EVERY_S = 60.0
PAUSE_S = 2.0

logger = logging.getLogger(__name__)


class Command(db_worker.Command):
    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--lost-after",
            type=db_worker.valid_interval,
            default=3600.0,
            help="Seconds after which a task that still runs counts as lost, and is run again (default: %(default)s)",
        )

    def handle(self, **options: Any) -> None:
        Thread(
            target=bring_back_for_ever, args=(options.pop("lost_after"),), daemon=True
        ).start()
        while True:
            try:
                super().handle(**options)
            except Error as error:
                logger.warning(
                    "the database fails, the worker tries again: %s",
                    type(error).__name__,
                )
                connection.close()
                sleep(PAUSE_S)
            else:
                return


def bring_back_for_ever(lost_after: float) -> None:
    while True:
        try:
            bring_back(lost_after)
        except Error as error:
            logger.warning("lost tasks cannot be looked for: %s", type(error).__name__)
        finally:
            connection.close()
        sleep(min(lost_after, LOOK_EVERY_S))


def bring_back(lost_after: float) -> None:
    """Let tasks that began so many seconds ago, and have not ended, be run again."""
    began_before = timezone.now() - timedelta(seconds=lost_after)
    lost = DBTaskResult.objects.running().filter(started_at__lt=began_before)
    if count := lost.update(status=TaskResultStatus.READY):
        logger.warning("%s lost tasks are run again", count)
