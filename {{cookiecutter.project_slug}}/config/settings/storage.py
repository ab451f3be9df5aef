"""Settings for uploads: production and, if .env names them, development use these."""

import re

from config.env import env
from config.settings.base import SECURE_CSP, STORAGES

# %if cookiecutter.media_storage == "s3"
S3_BUCKET = env.str("AWS_STORAGE_BUCKET_NAME")
is_bucket = re.fullmatch(r"[\w.-]{3,63}", S3_BUCKET)
env.require("AWS_STORAGE_BUCKET_NAME", is_bucket, "must be the name of a bucket")
S3_REGION = env.str("AWS_S3_REGION_NAME", default="us-east-1")
S3_ENDPOINT = env.address("AWS_S3_ENDPOINT_URL", "https", "http", default="")
S3_CUSTOM_DOMAIN = env.str("AWS_S3_CUSTOM_DOMAIN", default="")
is_host = re.fullmatch(r"([\w-]+(\.[\w-]+)+)?", S3_CUSTOM_DOMAIN)
env.require("AWS_S3_CUSTOM_DOMAIN", is_host, "must be a bare host name")
# Without keys boto3 uses the role of the machine.
S3_KEY = env.str("AWS_ACCESS_KEY_ID", default="")
S3_SECRET = env.str("AWS_SECRET_ACCESS_KEY", default="")
are_both = bool(S3_KEY) == bool(S3_SECRET)
env.require("AWS_SECRET_ACCESS_KEY", are_both, "must be set with AWS_ACCESS_KEY_ID")
STORAGES["default"] = {
    "BACKEND": "core.s3.S3Storage",
    "OPTIONS": {
        "bucket_name": S3_BUCKET,
        "region_name": S3_REGION,
        "endpoint_url": S3_ENDPOINT or None,
        # Amazon has a host name for each bucket; other stores may have none.
        "addressing_style": "path" if S3_ENDPOINT else "virtual",
        "custom_domain": S3_CUSTOM_DOMAIN or None,
        "access_key": S3_KEY or None,
        "secret_key": S3_SECRET or None,
        # The bucket's policy decides who may read; URLs are signed and expire.
        "default_acl": None,
        "querystring_auth": True,
        "signature_version": "s3v4",
        "file_overwrite": False,
    },
}
AMAZON = f"s3.{S3_REGION}.amazonaws.com".replace(".us-east-1", "")
MEDIA_SOURCE = (
    f"https://{S3_CUSTOM_DOMAIN}"
    if S3_CUSTOM_DOMAIN
    else f"{S3_ENDPOINT.rstrip('/') or f'https://{AMAZON}'}/{S3_BUCKET}/"
    # The certificate covers one label: a name with dots belongs into the path.
    if S3_ENDPOINT or "." in S3_BUCKET
    else f"https://{S3_BUCKET}.{AMAZON}"
)
# %endif
# %if cookiecutter.media_storage == "gcs"
GS_BUCKET_NAME = env.str("GS_BUCKET_NAME")
is_bucket = re.fullmatch(r"[\w.-]{3,222}", GS_BUCKET_NAME)
env.require("GS_BUCKET_NAME", is_bucket, "must be the name of a bucket")
STORAGES["default"] = {
    "BACKEND": "core.gcs.GoogleCloudStorage",
    "OPTIONS": {
        "bucket_name": GS_BUCKET_NAME,
        # The bucket's policy decides who may read; URLs are signed and expire.
        "default_acl": None,
        "querystring_auth": True,
        "expiration": 3600,
        "file_overwrite": False,
    },
}
MEDIA_SOURCE = f"https://storage.googleapis.com/{GS_BUCKET_NAME}/"
# %endif
# %if cookiecutter.media_storage == "azure"
ACCOUNT = env.str("AZURE_ACCOUNT_NAME")
is_account = re.fullmatch(r"[a-z\d]{3,24}", ACCOUNT)
env.require("AZURE_ACCOUNT_NAME", is_account, "must be the name of an account")
CONTAINER = env.str("AZURE_CONTAINER")
is_container = re.fullmatch(r"[a-z\d-]{3,63}", CONTAINER)
env.require("AZURE_CONTAINER", is_container, "must be the name of a container")
STORAGES["default"] = {
    "BACKEND": "core.azure.AzureStorage",
    "OPTIONS": {
        "account_name": ACCOUNT,
        "azure_container": CONTAINER,
        # Without it URLs would not be signed.
        "expiration_secs": 3600,
        "overwrite_files": False,
    },
}
MEDIA_SOURCE = f"https://{ACCOUNT}.blob.core.windows.net/{CONTAINER}/"
# %endif
SECURE_CSP["img-src"].append(MEDIA_SOURCE)
SECURE_CSP["media-src"].append(MEDIA_SOURCE)
