"""Uploads in Google Cloud Storage, with the credentials of the machine.

https://cloud.google.com/docs/authentication/application-default-credentials
"""

from typing import Any

import google.auth
from google.auth.credentials import Signing
from storages.backends import gcloud

from core.uploads import describe

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GoogleCloudStorage(gcloud.GoogleCloudStorage):
    credentials: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.credentials is None:
            self.credentials, self.project_id = google.auth.default(scopes=[SCOPE])
            # A workload's identity has no key to sign URLs: Google signs for it, if its
            # account may create tokens.
            # https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
            self.iam_sign_blob = not isinstance(self.credentials, Signing)

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        return {**super().get_object_parameters(name), **describe(name)}
