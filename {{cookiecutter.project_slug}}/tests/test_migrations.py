"""Migrations keep the running release alive: it does not fill a column that is new."""

import pytest
from django.db import models
from django.db.migrations import AddField, CreateModel
from django.db.migrations.loader import MigrationLoader

from config.settings.base import INSTALLED_APPS

OWN = {app.removeprefix("apps.") for app in INSTALLED_APPS if app.startswith("apps.")}
MIGRATIONS = MigrationLoader(None).disk_migrations
NAMES = sorted(name for name in MIGRATIONS if name[0] in OWN)


@pytest.mark.parametrize("name", NAMES, ids="/".join)
def test_a_new_column_has_its_default_in_the_database(name: tuple[str, str]) -> None:
    operations = MIGRATIONS[name].operations
    new = {each.name_lower for each in operations if isinstance(each, CreateModel)}
    refused = [
        f"{field.model_name}.{field.name}"
        for field in operations
        if isinstance(field, AddField)
        and field.model_name_lower not in new
        and not field.field.null
        and not field.field.many_to_many
        and field.field.db_default is models.NOT_PROVIDED
    ]
    assert not refused, f"{refused}: use db_default, not default, or null=True"
