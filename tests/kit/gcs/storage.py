"""Uploads in Google Cloud Storage: signed URLs, and the name of the bucket."""

import json

import pytest
from django.core.files.storage.handler import StorageHandler


def test_google_signs_for_an_identity_without_a_key(
    load_production, monkeypatch, tmp_path
):
    names = ("client_id", "client_secret", "refresh_token")
    user = {"type": "authorized_user", **dict.fromkeys(names, "none")}
    (tmp_path / "user.json").write_text(json.dumps(user))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "user.json"))
    storage = StorageHandler(load_production().STORAGES)["default"]
    assert storage.iam_sign_blob is True
    assert storage.client is storage.client


def test_invalid_values_are_refused(load_production):
    with pytest.raises(SystemExit, match="- GS_BUCKET_NAME "):
        load_production(GS_BUCKET_NAME="gs://media")
