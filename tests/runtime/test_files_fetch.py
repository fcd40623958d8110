"""Files from elsewhere: whole or not at all."""

import os
import socket
import subprocess
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scythe_runtime.artifacts import place_artifacts
from scythe_runtime.errors import (
    NotFoundError,
    SpecError,
    StoreError,
    StoreUnavailableError,
    UsageError,
)
from scythe_runtime.fetching import cache_folder, cache_path, fetch_uri, file_name, local_file
from scythe_runtime.layout import RunLayout
from scythe_runtime.store import open_store

DATA = bytes(range(256)) * 2_000


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        """Stay silent."""

    def do_GET(self):
        """Answer by the script, else with DATA."""
        server = self.server
        server.asked.append(self.path)
        server.users.append(self.headers.get("Authorization"))
        status, body, headers = (
            server.script.popleft() if server.script else (server.status, server.body, {})
        )
        self.send_response(status)
        for name, value in {"Content-Length": str(len(DATA)), **headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("SCYTHE_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SCYTHE_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def web():
    """Return a web server: its `script` is used up, then it answers with `status` and `body`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.script, server.asked, server.users = deque(), [], []
    server.status, server.body = 200, DATA
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@contextmanager
def _fails(error, says, folder):
    """Expect one line of that error, and nothing new in the folder."""
    with pytest.raises(error, match=says) as got:
        yield got
    assert len(str(got.value).splitlines()) == 1
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_file_is_fetched_once(web, tmp_path):
    """What is at the target is kept; without the cache it is fetched anew and replaced."""
    to = tmp_path / "new" / "w.epw"
    assert fetch_uri(f"{web.url}/w.epw", to) == to
    assert to.read_bytes() == DATA
    fetch_uri(f"{web.url}/w.epw", to)
    assert web.asked == ["/w.epw"]
    web.script.append((200, b"other", {"Content-Length": "5"}))
    fetch_uri(f"{web.url}/w.epw", to, use_cache=False)
    assert to.read_bytes() == b"other"
    assert [p.name for p in to.parent.iterdir()] == ["w.epw"]


def test_a_broken_off_download_is_tried_again(web, tmp_path):
    """Half a body is thrown away, and the next attempt's whole one is taken."""
    web.script.append((200, DATA[:1000], {}))
    assert fetch_uri(f"{web.url}/w", tmp_path / "w").read_bytes() == DATA


def test_a_download_that_always_breaks_off_leaves_nothing(web, tmp_path):
    """After four attempts there is one clear line, and neither the file nor a part of it."""
    web.body = DATA[:1000]
    with _fails(StoreUnavailableError, "whole in 4 attempts", tmp_path / "to"):
        fetch_uri(f"{web.url}/w", tmp_path / "to" / "w")
    assert len(web.asked) == 4


def test_passing_trouble_is_waited_out(web, tmp_path):
    """A 503 and a 429 are tried again."""
    web.script.extend([(503, b"", {"Content-Length": "0"}), (429, b"", {"Content-Length": "0"})])
    assert fetch_uri(f"{web.url}/w", tmp_path / "w").read_bytes() == DATA
    assert len(web.asked) == 3


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (404, NotFoundError, "no such file"),
        (410, NotFoundError, "no such file"),
        (403, StoreError, "403 Forbidden"),
        (401, StoreError, "401 Unauthorized"),
        (206, StoreError, "206 Partial Content"),
    ],
)
def test_refusals_are_one_line_without_secrets(web, tmp_path, status, error, says):
    """An error page is never taken for the file; the message has the address without its query."""
    web.status = status
    uri = web.url.replace("http://", "http://user:hunter2@") + "/a%20b.csv?token=s3cret"
    with _fails(error, says, tmp_path / "to") as got:
        fetch_uri(uri, tmp_path / "to" / "w")
    assert f"{web.url}/a%20b.csv" in str(got.value)
    assert "s3cret" not in str(got.value)
    assert "hunter2" not in str(got.value)
    assert len(web.asked) == 1


@pytest.mark.parametrize("headers", [{}, {"Content-Length": None}])
def test_a_file_above_the_limit_is_refused(web, tmp_path, monkeypatch, headers):
    """The limit holds whether or not the server says the length, and names its setting."""
    monkeypatch.setenv("SCYTHE_FETCH_MAX_SIZE", "100kB")
    web.script.append((200, DATA, headers))
    with _fails(
        StoreError, "larger than 100000 bytes. Raise SCYTHE_FETCH_MAX_SIZE", tmp_path / "to"
    ):
        fetch_uri(f"{web.url}/w", tmp_path / "to" / "w")


def test_a_server_that_says_no_length_is_believed(web, tmp_path):
    """Without a length the end of the connection is the end of the file."""
    web.script.append((200, DATA, {"Content-Length": None}))
    assert fetch_uri(f"{web.url}/w", tmp_path / "w").read_bytes() == DATA


def test_a_proxy_and_a_user_are_used(web, tmp_path, monkeypatch):
    """The environment's proxy is asked for the whole address; user and password go in a header."""
    monkeypatch.setenv("http_proxy", web.url)
    fetch_uri("http://user:p%40ss@data.invalid/w", tmp_path / "w")
    assert web.asked == ["http://data.invalid/w"]
    assert web.users == ["Basic dXNlcjpwQHNz"]


def test_nobody_listens(tmp_path):
    """A refused connection is one line with the address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}/w?token=s3cret"
        with _fails(
            StoreUnavailableError, "Check the address and the network", tmp_path / "to"
        ) as got:
            fetch_uri(uri, tmp_path / "to" / "w")
    assert "s3cret" not in str(got.value)


def test_a_silent_server_times_out(tmp_path, monkeypatch):
    """A server that accepts and never answers is given up after the timeout's attempts."""
    monkeypatch.setenv("SCYTHE_FETCH_TIMEOUT", "100ms")
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/w"
        with _fails(StoreUnavailableError, "cannot fetch", tmp_path / "to"):
            fetch_uri(uri, tmp_path / "to" / "w")


def test_threads_that_want_one_file_share_one_download(web):
    """Eight at once: one request, eight times the same whole file."""
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(local_file, [f"{web.url}/w.epw"] * 8))
    assert set(paths) == {cache_path(f"{web.url}/w.epw")}
    assert paths[0].read_bytes() == DATA
    assert web.asked == ["/w.epw"]


def test_processes_that_want_one_file_share_one_download(web):
    """Three processes at once: one file, which is replaced by none; who comes late only asks whether it has changed."""
    code = (
        "import sys; from scythe_runtime.fetching import local_file\n"
        "path = local_file(sys.argv[1]); print(path, path.stat().st_ino)"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, f"{web.url}/w.epw"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    (found,) = {child.communicate(timeout=60)[0].strip() for child in children}
    kept = cache_path(f"{web.url}/w.epw")
    assert found == f"{kept} {kept.stat().st_ino}"
    assert 1 <= len(web.asked) <= len(children)


def test_files_of_this_machine_are_read_in_place(tmp_path):
    """A path and a file:// URL are the file itself; a fetch of one to a place is a copy."""
    source = tmp_path / "it's ü 100% #1.csv"
    source.write_bytes(DATA)
    assert local_file(source) == local_file(source.as_uri()) == source
    copy = fetch_uri(source.as_uri(), tmp_path / "copy")
    assert (copy.read_bytes(), copy.stat().st_ino == source.stat().st_ino) == (DATA, False)
    assert fetch_uri(source, tmp_path / "copy 2").read_bytes() == DATA
    assert not (cache_folder() / "files").exists()


def test_missing_files_of_this_machine(tmp_path):
    """A missing file is named, in place or copied."""
    for missing in (tmp_path / "gone", (tmp_path / "gone").as_uri()):
        with pytest.raises(NotFoundError, match="gone does not exist"):
            local_file(missing)
        with _fails(NotFoundError, "gone does not exist", tmp_path / "to"):
            fetch_uri(missing, tmp_path / "to" / "w")


def test_a_url_that_cannot_be_fetched(tmp_path):
    """An unknown scheme is the user's mistake, said in one line with the URL."""
    with _fails(UsageError, "ftp://example.org/w.*https://, s3:// or file://", tmp_path / "to"):
        fetch_uri("ftp://example.org/w", tmp_path / "to" / "w")


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("https://example.org/data/w.epw?x=/y/z.csv", "w.epw"),
        ("https://example.org/a%20b%20%C3%BC%27.csv", "a b ü'.csv"),
        ("https://example.org/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "_.._etc_passwd"),
        ("https://example.org/..", "file"),
        ("https://example.org/", "file"),
        ("https://example.org", "file"),
        ("https://example.org/a%00b%0Ac", "a_b_c"),
        ("https://example.org/folder/", "folder"),
        ("s3://bucket/a?b.csv", "a_b.csv"),
        ("s3://bucket/x/w.epw", "w.epw"),
        ("https://example.org/" + "x" * 300 + ".csv", "x" * 116 + ".csv"),
        ("https://example.org/" + "%C3%BC" * 200 + ".csv", "ü" * 58 + ".csv"),
    ],
)
def test_names_stay_in_their_folder(uri, name):
    """The cache keeps the last part of a URL as a name, decoded and harmless."""
    assert file_name(uri) == name
    path = cache_path(uri)
    assert path.resolve().is_relative_to(cache_folder().resolve())
    assert path.parent.parent == cache_folder() / "files"


def test_the_cache_tells_urls_apart():
    """One name at two addresses, or with two queries, is two files."""
    uris = ["https://a.org/w.epw", "https://b.org/w.epw", "https://a.org/w.epw?v=2"]
    assert len({cache_path(uri) for uri in uris}) == 3


def test_the_cache_has_a_place_of_its_own_by_default(monkeypatch, tmp_path):
    """Without SCYTHE_CACHE_DIR the platform's cache folder is used; asking makes no folder."""
    monkeypatch.delenv("SCYTHE_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder().is_relative_to(tmp_path)
    assert cache_folder().name == "scythe"
    assert list(tmp_path.iterdir()) == []


def test_remote_inputs_can_be_copied_into_the_run(web, tmp_path):
    """With copy_remote a web file becomes an artifact; one that is missing is named beforehand."""
    store, layout = open_store((tmp_path / "runs").as_uri()), RunLayout("e/v1/t")
    uri = f"{web.url}/a%20b.csv?v=1"
    placed = place_artifacts(
        {"w": [uri]}, store=store, layout=layout, root=Path(), copy_remote=True
    )
    key = layout.artifact("w", "a b.csv")
    assert placed.uris["w"] == {uri: store.uri(key)}
    assert store.get(key) == DATA
    web.body = bytes(reversed(DATA))
    later = RunLayout("e/v1/later")
    place_artifacts({"w": [uri]}, store=store, layout=later, root=Path(), copy_remote=True)
    assert store.get(later.artifact("w", "a b.csv")) == web.body, "the file of an earlier run"
    web.status = 404
    with pytest.raises(SpecError, match="404, no such file"):
        place_artifacts(
            {"w": [f"{web.url}/gone"]}, store=store, layout=layout, root=Path(), copy_remote=True
        )
