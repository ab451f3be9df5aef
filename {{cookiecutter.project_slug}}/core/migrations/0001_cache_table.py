"""Create the table of the database cache."""

from django.core.management import call_command
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def create_cache_table(
    apps: StateApps, schema_editor: BaseDatabaseSchemaEditor
) -> None:
    # Name the table: without a name the command creates the tables of the current
    # settings, and development has none.
    call_command(
        "createcachetable",
        "cache",
        database=schema_editor.connection.alias,
        verbosity=0,
    )


class Migration(migrations.Migration):
    dependencies = []
    operations = [
        migrations.RunPython(
            create_cache_table, migrations.RunPython.noop, elidable=False
        )
    ]
