"""Input files that stay where they are, and change there: the cache holds what their servers hold."""

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest

from scythe_runtime import BaseExperiment
from scythe_runtime.errors import NotFoundError
from scythe_runtime.fetching import cache_path, fetch_uri, local_file, look_again

from .file_tasks import Files, read_files
from .proxy import refusal
from .servers import new_bucket

KINDS = ["etag", "date", "both", "neither", "no length", "ignores conditions", "date of now"]
READ = """
import sys
from scythe_runtime.fetching import local_file
for uri in sys.argv[1:] * 3:
    text = local_file(uri).read_text()
print(text)
"""


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        """Stay silent."""

    def do_GET(self):
        """Answer as a server of that kind does, with 304 where it is asked whether the file has changed and it has not."""
        server = self.server
        body, changed = server.files[self.path]
        said = {}
        if server.kind in {"etag", "both", "ignores conditions"}:
            said["ETag"] = f'"{hash(body)}"'
        if server.kind in {"date", "both"}:
            said["Last-Modified"] = formatdate(changed, usegmt=True)
        if server.kind == "date of now":
            said["Last-Modified"] = formatdate(usegmt=True)
        asked = {
            "ETag": self.headers.get("If-None-Match"),
            "Last-Modified": self.headers.get("If-Modified-Since"),
        }
        same = [asked[name] == value for name, value in said.items() if asked[name]]
        status = server.status
        if status == 200 and same and all(same) and server.kind != "ignores conditions":
            status = 304
        server.answers[self.path, status] += 1
        if status == 304:
            body = b""
        elif server.kind != "no length":
            said["Content-Length"] = str(len(body))
        self.send_response(status)
        for name, value in said.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _Web(ThreadingHTTPServer):
    daemon_threads = True

    def put(self, path, text, *, age_s=1000.0):
        """Put a file there, changed so long ago."""
        self.files[path] = text.encode(), time.time() - age_s


@pytest.fixture
def web():
    """Return a web server of the kind `kind`, which counts its answers by path and status."""
    server = _Web(("127.0.0.1", 0), _Handler)
    server.files, server.answers, server.kind, server.status = {}, Counter(), "both", 200
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path, aws):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SCYTHE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SCYTHE_SLOTS", "2")
    monkeypatch.chdir(tmp_path)


def read(*uris):
    """Return what another process reads, three times, and what it says."""
    done = subprocess.run(
        [sys.executable, "-c", READ, *uris], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_changes_is_fetched_anew(web, kind):
    """Whatever the server says of it: each process asks once, and has what the server has."""
    web.kind = kind
    uri = f"{web.url}/w"
    web.put("/w", "old")
    assert read(uri) == ("old", "")
    assert read(uri) == ("old", "")
    asked = {"etag": 304, "date": 304, "both": 304}.get(kind, 200)
    assert web.answers == Counter({("/w", 200): 1}) + Counter({("/w", asked): 1})
    web.put("/w", "longer" if kind == "neither" else "new", age_s=500)
    for _ in range(2):
        assert read(uri) == ("longer" if kind == "neither" else "new", "")
    assert web.answers.total() == 4


def test_a_file_of_the_same_length_without_tag_and_date_counts_as_the_same(web):
    """That is all there is to go by: the body is not even read again."""
    web.kind = "neither"
    web.put("/w", "old")
    assert read(f"{web.url}/w")[0] == "old"
    before = cache_path(f"{web.url}/w").stat()
    web.put("/w", "new")
    assert read(f"{web.url}/w")[0] == "old"
    assert cache_path(f"{web.url}/w").stat().st_ino == before.st_ino


def test_an_older_file_put_back_is_fetched(web):
    """A server that only has dates: also an earlier one is another one."""
    web.kind = "date"
    web.put("/w", "new", age_s=10)
    assert read(f"{web.url}/w")[0] == "new"
    web.put("/w", "old", age_s=10_000)
    assert read(f"{web.url}/w")[0] == "old"


@pytest.mark.parametrize("outage", ["nobody listens", "503"])
def test_without_its_server_the_copy_is_used_and_that_is_said_once(web, outage):
    """Offline one goes on with what is there, and one line a file tells of which day; what is not there is an error."""
    uris = [f"{web.url}/{name}" for name in "ab"]
    web.put("/a", "first")
    web.put("/b", "second")
    assert read(*uris)[0] == "second"
    if outage == "503":
        web.status = 503
    else:
        web.shutdown()
        web.server_close()
    text, said = read(*uris)
    assert text == "second"
    lines = said.splitlines()
    assert len(lines) == 2
    assert all(
        "may have changed" in line and "The copy that was fetched on" in line for line in lines
    )
    shutil.rmtree(cache_path(uris[1]).parent)
    with pytest.raises(OSError, match="cannot fetch"):
        local_file(uris[1])


def test_what_is_gone_is_an_error(web):
    """A server that says that there is no such file any more is believed, as it would be on another machine."""
    web.put("/w", "old")
    assert local_file(f"{web.url}/w").read_text() == "old"
    web.status = 404
    look_again(time.time())
    with pytest.raises(NotFoundError, match="no such file"):
        local_file(f"{web.url}/w")


def test_a_changed_file_that_breaks_off_is_an_error(web, monkeypatch):
    """The copy is known to be old then: it is not used in its place."""
    web.put("/w", "old")
    assert local_file(f"{web.url}/w").read_text() == "old"
    monkeypatch.setattr(_Handler, "send_header", _promise_more)
    web.put("/w", "new, and half of it", age_s=10)
    look_again(time.time())
    with pytest.raises(OSError, match="whole in 4 attempts"):
        local_file(f"{web.url}/w")
    assert cache_path(f"{web.url}/w").read_text() == "old"


def _promise_more(self, name, value):
    if name == "Content-Length":
        value = str(2 * int(value))
    BaseHTTPRequestHandler.send_header(self, name, value)


def test_a_copy_that_somebody_touched_is_fetched_anew(web):
    """A function that writes into the cached file spoils it for no other process."""
    web.put("/w", "right")
    assert read(f"{web.url}/w")[0] == "right"
    cache_path(f"{web.url}/w").write_text("wrong")
    assert read(f"{web.url}/w")[0] == "right"
    (cache_path(f"{web.url}/w").parent / ".origin").write_text("{")
    assert read(f"{web.url}/w")[0] == "right"
    assert web.answers == {("/w", 200): 3}


def test_a_cache_that_cannot_be_written_is_used(web, monkeypatch, tmp_path):
    """A read-only cache with the right file in it: asked, and used."""
    web.put("/w", "right")
    assert read(f"{web.url}/w")[0] == "right"
    cache = tmp_path / "cache"
    mounted = subprocess.run(
        ["mount", "--bind", "-o", "ro", str(cache), str(cache)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no read-only mount can be made here: {mounted.stderr!r}")
    try:
        with pytest.raises(OSError, match="Read-only"):
            (cache / "file").touch()
        assert read(f"{web.url}/w") == ("right", "")
    finally:
        subprocess.run(["umount", "--lazy", str(cache)], check=True)
    assert web.answers == {("/w", 200): 1, ("/w", 304): 1}


def run_of(uris, n, **options):
    """Return the run of n specs that name three files each, after its end."""
    specs = [Files(weather=uris[0], layers=uris[1:]) for _ in range(n)]
    run, ref = BaseExperiment(runnable=read_files, run_name="stale").allocate(specs, **options)
    ref.result()
    return run


def test_a_run_asks_once_for_each_file(web):
    """2,000 specs that name 3 files: 3 requests of all slots together, in each of two runs; values are of the day."""
    uris = [f"{web.url}/{name}" for name in "abc"]
    for text, path in zip("123", "abc", strict=True):
        web.put(f"/{path}", text)
    assert set(run_of(uris, 2_000).table()["text"]) == {"1|2|3"}
    assert web.answers == {(f"/{path}", 200): 1 for path in "abc"}
    web.put("/b", "new", age_s=10)
    run = run_of(uris, 2_000)
    assert set(run.table()["text"]) == {"1|new|3"}
    assert web.answers == {
        ("/a", 200): 1,
        ("/b", 200): 2,
        ("/c", 200): 1,
        ("/a", 304): 1,
        ("/c", 304): 1,
    }
    assert run.check().ok


def test_slots_that_are_started_afresh_ask_at_most_once_each(web, monkeypatch):
    """Where slots are not forked, each asks at most once for each file."""
    monkeypatch.setenv("SCYTHE_SLOT_START", "popen")
    uris = [f"{web.url}/{name}" for name in "abc"]
    for path in "abc":
        web.put(f"/{path}", path)
    run = run_of(uris, 500, batch_size=20)
    slots = set(run.times()["worker"])
    assert web.answers.total() <= 3 * len(slots)
    assert Counter({status for _, status in web.answers}) <= Counter({200: 1, 304: 1})


def test_a_warning_is_in_the_runs_logs(web):
    """Who runs offline finds in the run's logs which files may have changed."""
    web.put("/a", "1")
    run_of([f"{web.url}/a"] * 3, 20)
    web.shutdown()
    web.server_close()
    run = run_of([f"{web.url}/a"] * 3, 20)
    logs = (run.store.root / run.experiment_id / "logs").glob("slot-*.log")
    said = [line for path in logs for line in path.read_text().splitlines()]
    assert [line for line in said if "/a may have changed" in line] == said
    assert len(said) == 1


def test_inputs_that_change_during_a_run_are_noticed(web):
    """A resume on another day meets another content: `check` says so, which no table shows."""
    uri = f"{web.url}/w"
    web.put("/w", "fine")
    web.put("/late", "late")
    specs = [Files(weather=uri, other=f"{web.url}/late") for _ in range(40)]
    web.files["/late"] = b"\xff\xfe", time.time() - 100  # no text: these fail
    run, ref = BaseExperiment(runnable=read_files, run_name="stale").allocate(
        [*specs[:20], *(Files(weather=uri) for _ in range(20))]
    )
    assert ref.result().failed == 20
    assert run.check().ok
    web.put("/late", "late", age_s=50)
    web.put("/w", "other", age_s=50)
    assert run.retry_failed().result().failed == 0
    (first, second) = run.check().problems
    assert {
        f"input file {u} changed while" in p for u, p in ((uri, first), (f"{web.url}/late", second))
    } == {True}
    assert set(run.table()["text"]) == {"fine", "other|late"}


def test_s3_files_that_change_are_fetched_anew(bucket, proxy):
    """By their tag: one request a process, without the body while the object is the same."""
    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key="w", Body=b"old")
    proxy.requests.clear()
    uri = f"s3://{bucket}/w"
    assert read(uri) == ("old", "")
    assert read(uri) == ("old", "")
    assert proxy.requests == [("GET", f"/{bucket}/w")] * 2
    inode = cache_path(uri).stat().st_ino
    client.put_object(Bucket=bucket, Key="w", Body=b"new")
    assert read(uri) == ("new", "")
    assert cache_path(uri).stat().st_ino != inode


def test_s3_that_is_away_is_said_once(bucket, proxy, caplog):
    """The copy is used; where the right to read has gone, that is an error."""
    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key="w", Body=b"old")
    uri = f"s3://{bucket}/w"
    assert local_file(uri).read_text() == "old"
    proxy.always = refusal(503, "SlowDown")
    look_again(time.time())
    with caplog.at_level(logging.WARNING):
        assert local_file(uri).read_text() == "old"
        assert local_file(uri).read_text() == "old"
    assert caplog.text.count("may have changed") == 1
    proxy.always = refusal(403, "AccessDenied")
    look_again(time.time())
    with pytest.raises(OSError, match="no permission"):
        local_file(uri)


def test_servers_of_s3_that_know_no_conditions(rclone, tmp_path, monkeypatch):
    """A server of another make is asked in the same way."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", rclone.url)
    bucket, client = new_bucket(rclone.url), boto3.client("s3")
    uri = f"s3://{bucket}/w"
    for text in ("old", "new"):
        client.put_object(Bucket=bucket, Key="w", Body=text.encode())
        assert [read(uri)[0], read(uri)[0]] == [text, text]


def test_what_was_copied_into_a_run_is_not_asked_for(bucket, proxy, monkeypatch):
    """Artifacts never change: one get a file and machine, in this run and when it is run again from them."""
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", bucket)
    for name in "abc":
        Path(name).write_text(name)
    run = run_of(["a", "b", "c"], 200)
    uris = [run.table()["weather"][0], *run.table()["layers"][0]]
    assert all(uri.startswith("s3://") for uri in uris)
    got = [path for method, path in proxy.requests if method == "GET" and "/artifacts/" in path]
    assert len(got) == len(set(got)) == 3
    again = run_of(uris, 200)
    assert set(again.table()["text"]) == {"a|b|c"}
    got = [path for method, path in proxy.requests if method == "GET" and "/artifacts/" in path]
    assert len(got) == 3


def test_a_place_that_is_named_keeps_what_is_there(web, tmp_path):
    """`fetch_uri` to a place of one's own does as it always did: what is there stays, unasked."""
    web.put("/w", "old")
    assert fetch_uri(f"{web.url}/w", tmp_path / "w").read_text() == "old"
    web.put("/w", "new")
    assert fetch_uri(f"{web.url}/w", tmp_path / "w").read_text() == "old"
    assert web.answers.total() == 1
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["w"]
