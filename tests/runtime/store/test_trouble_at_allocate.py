"""A store that cannot be used is told in one line, before any spec runs and soon."""

import socket
import time
from pathlib import Path

import pytest
from sample_tasks import Counted, count_calls

from scythe_runtime import BaseExperiment
from scythe_runtime.errors import StoreError, StoreUnavailableError
from scythe_runtime.store import open_store, store_from_settings

from .proxy import refusal, reset
from .servers import new_bucket


@pytest.fixture(autouse=True)
def _here(aws, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCYTHE_SLOTS", "1")
    monkeypatch.setenv("NO_PROXY", "*")


def fails(says, error=StoreError):
    """Allocate, expect one line of that error within ten seconds, and no call of the function."""
    specs = [Counted(calls="calls", flag="flag", k=k) for k in range(3)]
    began = time.monotonic()
    with pytest.raises(error, match=says) as got:
        BaseExperiment(runnable=count_calls, run_name="trouble").allocate(specs)
    assert time.monotonic() - began < 10
    assert len(str(got.value).splitlines()) == 1
    assert not Path("calls").exists()


def test_a_wrong_bucket(monkeypatch):
    """The bucket and its setting are named."""
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", "no-such-bucket")
    fails(r"no bucket 'no-such-bucket' at http://127.*SCYTHE_STORAGE_BUCKET")


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_wrong_key(rclone, monkeypatch, variable):
    """A server that checks them refuses a key and a secret; the variables are named."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", rclone.url)
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", new_bucket(rclone.url))
    monkeypatch.setenv(variable, "something-else")
    fails("refuses the credentials .* Check AWS_ACCESS_KEY_ID")


@pytest.mark.parametrize("right", ["list", "get", "put"])
def test_a_right_that_is_missing(bucket, proxy, monkeypatch, right):
    """Credentials that may not list, read or write are told what they need, and no run is begun."""
    deny = refusal(403, "AccessDenied")

    def fault(handler):
        listing = "list-type=2" in handler.path
        kind = "put" if handler.command == "PUT" else "list" if listing else "get"
        if kind == right:
            deny(handler)
        else:
            handler.answer(*handler.forward())

    proxy.always = fault
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", bucket)
    fails("no permission .AccessDenied.*s3:ListBucket.*s3:GetObject and s3:PutObject")
    proxy.always = None
    assert list(store_from_settings().list("")) == []


def test_nobody_listens(monkeypatch):
    """The endpoint is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", "bucket")
        fails(f"no answer from {url}", StoreUnavailableError)


@pytest.mark.parametrize("status", [200, 302, 404])
def test_another_server_than_s3(proxy, monkeypatch, status):
    """A web server that answers, but not as S3 does, is found out by the check."""

    def page(handler):
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        handler.answer(status, {"Content-Type": "text/html"}, b"<html><body>Hello</body></html>")

    proxy.always = page
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", "bucket")
    fails("AWS_ENDPOINT_URL")


def test_patience_begins_with_the_first_answer(bucket, proxy, monkeypatch):
    """An endpoint that never answers is tried twice; one that has answered is waited for."""
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", bucket)
    store = store_from_settings()
    proxy.always = reset
    with pytest.raises(StoreUnavailableError):
        store.get("a")
    assert len(proxy.requests) == 2
    proxy.always = None
    store.put("a", b"content")
    proxy.faults.extend([reset] * 3)
    assert store.get("a") == b"content"
    proxy.faults.extend([reset] * 3)  # a slot's store, which begins in the middle of a run
    assert open_store(store.root_uri).get("a") == b"content"
