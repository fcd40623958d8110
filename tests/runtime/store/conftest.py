"""Real S3 servers, and a proxy before one that misbehaves by a script."""

import os

import boto3
import pytest
from botocore.config import Config

from .proxy import FaultyProxy
from .servers import KEY_ID, SECRET, new_bucket, started


@pytest.fixture(scope="session")
def s3_endpoint():
    """Return the URL of a moto server that lives as long as the session."""
    server = started("moto")
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def localbucket():
    """Return a server of localbucket's: buckets are folders, no credentials, create is honoured."""
    server = started("localbucket")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def rclone():
    """Return a server of rclone's: buckets are folders, credentials, create is not honoured."""
    server = started("rclone")
    yield server
    server.stop()


@pytest.fixture
def aws(monkeypatch, s3_endpoint, tmp_path):
    """Point boto3 of this process at the server, and at no file of the user's."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SCYTHE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def bucket(aws, s3_endpoint):
    """Return the name of a new bucket."""
    return new_bucket(s3_endpoint)


@pytest.fixture
def proxy(s3_endpoint, aws, monkeypatch):
    """Return a proxy that boto3 of this process now goes through."""
    with FaultyProxy(s3_endpoint) as faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.url)
        yield faulty


@pytest.fixture
def impatient():
    """Return a client that gives up after two attempts, so that the end of all patience is near."""

    def make(**options):
        config = Config(
            retries={"total_max_attempts": 2, "mode": "standard"}, connect_timeout=2, read_timeout=2
        )
        return boto3.client("s3", config=config, **options)

    return make
