"""The mails that users get."""

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils.translation import gettext

from apps.users.models import User


def compose_welcome_mail(user: User) -> EmailMessage:
    """Return a mail with the same id each time (RFC 5322, 3.6.4): a task may run twice."""
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip("> ")
    message_id = f"<welcome.{user.pk}.{user.date_joined:%Y%m%d%H%M%S%f}@{domain}>"
    context = {"project_name": settings.PROJECT_NAME, "user": user}
    subject = gettext("Welcome to %(project_name)s") % context
    body = render_to_string("mail/welcome.txt", context).strip()
    headers = {"Message-ID": message_id}
    return EmailMessage(subject, body, to=[user.email], headers=headers)
