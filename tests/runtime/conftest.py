"""Fixtures for tests of whole runs, on both stores."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from store.conftest import aws, bucket, rclone, s3_endpoint

__all__ = ["aws", "bucket", "rclone", "s3_endpoint"]


@pytest.fixture(params=["folder", "s3"])
def either_store(request, tmp_path, monkeypatch):
    """Work in an empty folder, with runs in it or in a new bucket of a real S3 server; return which."""
    if request.param == "s3":
        monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", request.getfixturevalue("bucket"))
        monkeypatch.setenv("SCYTHE_STORAGE_BUCKET_PREFIX", "some/prefix")
    monkeypatch.setenv("SCYTHE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SCYTHE_SLOTS", "2")
    monkeypatch.chdir(tmp_path)
    return request.param
