"""Tasks that run on a schedule; config/celery.py has the times."""

from celery import shared_task
from django.core.management import call_command


@shared_task
def clear_sessions() -> None:
    """Delete expired sessions, which otherwise stay in the database."""
    call_command("clearsessions")
