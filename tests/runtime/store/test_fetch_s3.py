"""Fetching s3:// files, which may lie in buckets of others."""

import boto3
import pytest

from scythe_runtime.errors import NotFoundError, StoreError, UsageError
from scythe_runtime.fetching import cache_path, fetch_uri, local_file
from scythe_runtime.store import open_store
from scythe_runtime.testing import ODD_KEYS


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path, aws):
    monkeypatch.setenv("SCYTHE_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.parametrize("key", ODD_KEYS)
def test_each_uri_of_a_store_can_be_fetched(bucket, tmp_path, key):
    """What the store names by a URI comes back through that URI, whatever is in the key."""
    store = open_store(f"s3://{bucket}/some prefix")
    store.put(key, key.encode())
    assert fetch_uri(store.uri(key), tmp_path / "to").read_bytes() == key.encode()
    assert local_file(store.uri(key)) == cache_path(store.uri(key))


def test_keys_of_others_may_have_any_form(bucket, tmp_path):
    """A key that no store of ours would take can still be fetched."""
    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key="a//b/../c", Body=b"content")
    uri = f"s3://{bucket}/a//b/%2E%2E/c"
    client.put_object(Bucket=bucket, Key="double//slash", Body=b"content")
    assert fetch_uri(f"s3://{bucket}/double//slash", tmp_path / "to").read_bytes() == b"content"
    with pytest.raises(NotFoundError):  # URLs resolve dots, so that key has no URL
        fetch_uri(uri, tmp_path / "dots")


def test_a_client_that_is_given_is_used(bucket, tmp_path, monkeypatch):
    """With `s3=` nothing is read from the environment."""
    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key="a", Body=b"content")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert fetch_uri(f"s3://{bucket}/a", tmp_path / "a", s3=client).read_bytes() == b"content"


def test_what_cannot_be_fetched_leaves_nothing(bucket, tmp_path, monkeypatch):
    """A missing key, a missing bucket and a file above the limit are one line each."""
    boto3.client("s3").put_object(Bucket=bucket, Key="large", Body=b"x" * 2000)
    monkeypatch.setenv("SCYTHE_FETCH_MAX_SIZE", "1kB")
    for uri, error, says in (
        (f"s3://{bucket}/gone", NotFoundError, "does not exist"),
        ("s3://no-such-bucket/a", StoreError, "no bucket 'no-such-bucket'"),
        (f"s3://{bucket}/large", StoreError, "larger than 1000 bytes"),
        (f"s3://{bucket}", UsageError, "names a bucket but no object"),
    ):
        with pytest.raises(error, match=says) as got:
            fetch_uri(uri, tmp_path / "to" / "a")
        assert len(str(got.value).splitlines()) == 1
    assert list((tmp_path / "to").iterdir()) == []


def test_the_client_of_older_code(bucket, monkeypatch):
    """`utils.s3.s3_client` is a working client, made when it is first asked for."""
    from scythe_runtime.utils import s3

    s3._client.cache_clear()
    try:
        s3.s3_client.put_object(Bucket=bucket, Key="a", Body=b"content")
        assert open_store(f"s3://{bucket}").get("a") == b"content"
    finally:
        s3._client.cache_clear()
