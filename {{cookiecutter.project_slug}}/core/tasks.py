"""What has to be done now and then; config/celery.py says when."""

from celery import shared_task
from django.core.management import call_command


@shared_task
def clear_sessions() -> None:
    """Sessions that have expired stay in the database until somebody removes them."""
    call_command("clearsessions")
