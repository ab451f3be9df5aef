"""Tokens end when their user has another password."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("api", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="accesstoken",
            name="password_digest",
            field=models.CharField(db_default="", editable=False, max_length=64),
        ),
    ]
