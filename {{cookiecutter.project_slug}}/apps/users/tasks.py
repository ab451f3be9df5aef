"""Work for a user outside the request."""

import logging

# %if cookiecutter.task_queue == "celery"
from celery import shared_task
# %endif
from django.conf import settings
from django.core.mail import EmailMessage
# %if cookiecutter.task_queue == "database"
from django.tasks import task
# %endif
from django.template.loader import render_to_string

from apps.users.models import User

logger = logging.getLogger(__name__)


# %if cookiecutter.task_queue == "celery"
# A mail server that is away is tried again after about 1, 2, 4… seconds, for a quarter
# of an hour in all.
@shared_task(autoretry_for=(OSError,), retry_backoff=True, max_retries=9)
# %else
@task
# %endif
def send_welcome_mail(user_pk: int) -> None:
    """Send it with the same id each time (RFC 5322, 3.6.4): a task may run twice."""
    user = User.objects.filter(pk=user_pk).first()
    if user is None or not user.email:
        logger.info("no welcome mail for user %s", user_pk)
        return
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip("> ")
    message_id = f"<welcome.{user.pk}.{user.date_joined:%Y%m%d%H%M%S%f}@{domain}>"
    subject = f"Welcome to {settings.PROJECT_NAME}"
    context = {"project_name": settings.PROJECT_NAME, "user": user}
    body = render_to_string("mail/welcome.txt", context)
    headers = {"Message-ID": message_id}
    EmailMessage(subject, body, to=[user.email], headers=headers).send()
    logger.info("welcome mail sent to user %s", user_pk)
