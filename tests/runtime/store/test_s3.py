"""What is particular to S3: endpoints that fail, refuse, or know less than AWS."""

import multiprocessing
import socket

import pytest

from scythe_runtime.errors import (
    AlreadyExistsError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
)
from scythe_runtime.store import check, open_store, store_from_settings
from scythe_runtime.store._s3 import S3Store

from .proxy import half_body, lost_answer, refusal, reset

SLOW_DOWN = refusal(503, "SlowDown")
SERVER_ERROR = refusal(500, "InternalError")


def test_the_environment_names_the_store(bucket, monkeypatch):
    """SCYTHE_STORAGE_BUCKET is all it takes; keys go below the prefix, which may be empty."""
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", bucket)
    store = store_from_settings()
    store.put("run/a", b"1")
    assert store.uri("run/a") == f"s3://{bucket}/scythe/run/a"
    whole = open_store(f"s3://{bucket}")
    assert whole.root_uri == f"s3://{bucket}"
    assert whole.get("scythe/run/a") == b"1"
    assert whole.children("") == ["scythe"]
    assert [o.key for o in whole.list("scythe/r")] == ["scythe/run/a"]


@pytest.mark.parametrize("fault", [SLOW_DOWN, SERVER_ERROR, reset])
def test_passing_trouble_is_waited_out(bucket, proxy, fault):
    """Throttling, a server's own error and a cut connection are retried; nothing is lost."""
    store = open_store(f"s3://{bucket}/p")
    for use in (
        lambda: store.put("a", b"content"),
        lambda: store.get("a"),
        lambda: list(store.list("")),
    ):
        proxy.faults.append(fault)
        use()
        assert not proxy.faults
    assert store.get("a") == b"content"


def test_half_a_body_is_never_taken_for_the_whole(bucket, proxy, tmp_path):
    """A download that breaks off starts again, and what lands is complete."""
    store = open_store(f"s3://{bucket}/p")
    data = bytes(range(256)) * 10_000
    store.put("a", data)
    proxy.faults.append(half_body)
    assert store.get("a") == data
    proxy.faults.append(half_body)
    assert store.fetch("a", tmp_path / "a").read_bytes() == data


def test_a_download_that_never_ends_well_leaves_nothing(bucket, proxy, tmp_path, monkeypatch):
    """After the last attempt one clear error, and no file, not even a part."""
    monkeypatch.setattr("scythe_runtime.store._s3._ATTEMPTS", 2)
    store = open_store(f"s3://{bucket}/p")
    store.put("a", b"content" * 1000)
    proxy.always = half_body
    with pytest.raises(StoreUnavailableError, match="whole") as got:
        store.fetch("a", tmp_path / "new" / "a")
    assert len(str(got.value).splitlines()) == 1
    assert list((tmp_path / "new").iterdir()) == []


def test_a_claim_whose_answer_was_lost_is_still_ours(bucket, proxy):
    """The retry of a create put that had been done meets its own object, and counts as done."""
    store = open_store(f"s3://{bucket}/p")
    assert store.honours_create()
    proxy.faults.append(lost_answer)
    store.put("claim", b"mine", create=True)
    assert store.get("claim") == b"mine"
    proxy.faults.append(reset)
    with pytest.raises(AlreadyExistsError):
        store.put("claim", b"another's", create=True)


def test_conflicting_creators_are_told_in_the_end(bucket, proxy):
    """A 409 (another create put is under way) is tried again until the outcome is known."""
    store = open_store(f"s3://{bucket}/p")
    store.honours_create()
    proxy.faults.append(refusal(409, "ConditionalRequestConflict"))
    store.put("claim", b"mine", create=True)
    proxy.faults.append(refusal(409, "ConditionalRequestConflict"))
    with pytest.raises(AlreadyExistsError):
        store.put("claim", b"other", create=True)


def test_a_server_without_conditions_is_found_out(bucket, proxy):
    """Where If-None-Match is ignored, that is said, and create still refuses what it can see."""
    proxy.without_conditions = True
    store = open_store(f"s3://{bucket}/p")
    assert not store.honours_create()
    store.put("claim", b"first", create=True)
    with pytest.raises(AlreadyExistsError):
        store.put("claim", b"second", create=True)
    assert store.get("claim") == b"first"


def test_a_server_that_refuses_conditions_is_found_out(bucket, proxy):
    """Where If-None-Match is answered by 501, that is said too."""
    proxy.faults.append(refusal(501, "NotImplemented"))
    assert not open_store(f"s3://{bucket}/p").honours_create()


def test_the_probe_costs_little(bucket, proxy):
    """Two requests the first time, one for each later process."""
    open_store(f"s3://{bucket}/p").honours_create()
    assert len(proxy.requests) == 2
    store = open_store(f"s3://{bucket}/p")
    assert store.honours_create()
    assert store.honours_create()
    assert len(proxy.requests) == 3


@pytest.mark.parametrize(
    "trouble",
    [
        (refusal(403, "AccessDenied"), StoreError, "s3:PutObject"),
        (refusal(403, "InvalidAccessKeyId"), StoreError, "AWS_ACCESS_KEY_ID"),
        (refusal(403, "SignatureDoesNotMatch"), StoreError, "AWS_SECRET_ACCESS_KEY"),
        (refusal(400, "AuthorizationHeaderMalformed"), StoreError, "AWS_DEFAULT_REGION"),
        (refusal(507, "InsufficientStorage"), StoreUnavailableError, "507 InsufficientStorage"),
        (SLOW_DOWN, StoreUnavailableError, "503 SlowDown, 2 times"),
        (reset, StoreUnavailableError, "no answer from http://127.0.0.1"),
        (refusal(400, "EntityTooLarge"), StoreError, "EntityTooLarge: scripted"),
    ],
)
def test_trouble_that_stays_is_one_clear_line(bucket, proxy, impatient, trouble):
    """Each refusal names what was tried and what to do; no message holds a secret."""
    fault, error, says = trouble
    store = S3Store(bucket, "p", client=impatient())
    proxy.always = fault
    for use in (
        lambda: store.put("a", b""),
        lambda: store.get("a"),
        lambda: list(store.list("")),
        lambda: check(store),
    ):
        with pytest.raises(error, match=says) as got:
            use()
        message = str(got.value)
        assert f"s3://{bucket}/p" in message
        assert len(message.splitlines()) == 1
        assert "secret" not in message
        assert "AKIATEST" not in message
        assert isinstance(got.value, StoreUnavailableError) == (error is StoreUnavailableError)


def test_a_wrong_bucket_is_named_before_any_work(aws):
    """The check names the bucket, the endpoint and the setting."""
    with pytest.raises(
        StoreError, match=r"no bucket 'no-such-bucket' at http://127.*SCYTHE_STORAGE_BUCKET"
    ):
        check(open_store("s3://no-such-bucket/p"))


def test_a_bucket_that_cannot_be(aws):
    """A name that no bucket can have is one line, not boto3's report."""
    with pytest.raises(StoreError, match="Invalid bucket name") as got:
        check(open_store("s3://no bucket/p"))
    assert len(str(got.value).splitlines()) == 1


def test_an_endpoint_where_nobody_listens(aws, impatient):
    """The endpoint is named, without the password that stands in it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        client = impatient(endpoint_url=f"http://user:hunter2@127.0.0.1:{port}")
        with pytest.raises(
            StoreUnavailableError, match=f"no answer from http://127.0.0.1:{port}"
        ) as got:
            S3Store("bucket", client=client).get("a")
    assert "hunter2" not in str(got.value)


def test_no_credentials_at_all(bucket, monkeypatch):
    """Missing credentials are named with the variables to set."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match=r"no credentials\. Set AWS_ACCESS_KEY_ID"):
        check(open_store(f"s3://{bucket}"))


@pytest.mark.parametrize(
    ("variable", "value"), [("AWS_ENDPOINT_URL", "localhost 9000"), ("AWS_PROFILE", "nobody")]
)
def test_variables_that_boto3_cannot_use(bucket, monkeypatch, variable, value):
    """A wrong endpoint or profile is a StoreError that points to the AWS_ variables."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(StoreError, match="Check the AWS_ variables"):
        open_store(f"s3://{bucket}").get("a")


def test_a_large_file_goes_in_parts(bucket, proxy, tmp_path, monkeypatch):
    """A file above the threshold is uploaded in parts and comes back the same."""
    monkeypatch.setattr("scythe_runtime.store._s3._MULTIPART_FROM_BYTES", 9 * 1024**2)
    source = tmp_path / "large"
    source.write_bytes(bytes(range(250)) * 40_000)
    store = open_store(f"s3://{bucket}/p")
    store.put("large", source)
    assert sum("partNumber=" in path for _, path in proxy.requests) >= 2
    assert store.fetch("large", tmp_path / "back").read_bytes() == source.read_bytes()


def test_a_missing_source_is_told_apart_from_the_store(bucket, tmp_path):
    """A put of a file that is not there is a FileNotFoundError of that file, not a StoreError."""
    with pytest.raises(FileNotFoundError, match="gone") as got:
        open_store(f"s3://{bucket}/p").put("a", tmp_path / "gone")
    assert not isinstance(got.value, NotFoundError)


def _get_in_child(store, queue):
    queue.put(store.get("a"))


def test_a_forked_process_has_a_client_of_its_own(bucket):
    """A store that was used before a fork works on both sides of it."""
    store = open_store(f"s3://{bucket}/p")
    store.put("a", b"content")
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_get_in_child, args=(store, queue))
    child.start()
    assert queue.get(timeout=30) == b"content"
    child.join(30)
    assert store.get("a") == b"content"
