"""Work for a user outside the request."""

import logging

# %if cookiecutter.task_queue == "celery"
from celery import shared_task

# %endif
# %if cookiecutter.task_queue == "database"
from django.tasks import task

# %endif
from apps.users.mails import compose_welcome_mail
from apps.users.models import User

logger = logging.getLogger(__name__)


# %if cookiecutter.task_queue == "celery"
# A mail server that is away is tried again after 1, 2, 4… seconds, for a quarter of an
# hour in all.
@shared_task(
    autoretry_for=(OSError,), retry_backoff=True, retry_jitter=False, max_retries=10
)
# %else
@task
# %endif
def send_welcome_mail(user_pk: int) -> None:
    user = User.objects.filter(pk=user_pk).exclude(email="").first()
    if user:
        compose_welcome_mail(user).send()
    logger.info("sent %s welcome mail to user %s", "a" if user else "no", user_pk)
