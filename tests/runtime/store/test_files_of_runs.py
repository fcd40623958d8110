"""Input files of whole runs, on both stores: from anywhere, put once, fetched once, whole or not at all."""

import os
import shutil
import threading
from collections import Counter, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from scythe_runtime import BaseExperiment
from scythe_runtime.errors import SpecError
from scythe_runtime.store import open_store, store_from_settings

from .file_tasks import Files, read_files
from .servers import new_bucket


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        """Stay silent."""

    def do_GET(self):
        """Answer with a file; `cut` says how many of the next answers break off half-way."""
        server = self.server
        server.asked[self.path] += 1
        body = server.files.get(self.path)
        self.send_response(404 if body is None else server.status)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if body is not None:
            self.wfile.write(
                body[: len(body) // 2] if server.cut and server.cut.popleft() else body
            )


@pytest.fixture(autouse=True)
def _clean(aws, monkeypatch):
    """Clear the environment before `either_store` fills it."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def web():
    """Return a web server with two files."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.files = {"/w.epw": b"web", "/a%20%C3%BC.epw": b"odd web"}
    server.status, server.cut, server.asked = 200, deque(), Counter()
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def elsewhere(s3_endpoint):
    """Return a store in another bucket than the run's, which holds a file."""
    store = open_store(f"s3://{new_bucket(s3_endpoint)}/inputs")
    store.put("w.epw", b"object")
    return store


def write(path, text):
    """Return a path, having written a file there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def run_files(specs, **options):
    """Return the run of specs, after its end, and its table in the order of the specs."""
    run, ref = BaseExperiment(runnable=read_files, run_name="files").allocate(specs, **options)
    ref.result()
    return run, run.table()


def artifacts_of(run):
    """Return the keys below the run's artifacts, and input_artifacts.yml."""
    store, base = store_from_settings(), f"{run.experiment_id}/"
    keys = [o.key.removeprefix(base) for o in store.list(f"{base}artifacts/")]
    return keys, yaml.safe_load(store.get(f"{base}input_artifacts.yml"))["files"]


def test_files_from_everywhere(either_store, web, elsewhere, tmp_path):
    """Paths, file URLs, http and s3 all arrive as local files; paths are put into the run, URLs are named.

    Each remote file is fetched once for all slots and specs.
    """
    by_url = write(tmp_path / "by url.epw", "by url")
    sources = [
        write(tmp_path / "w.epw", "absolute"),
        Path(write("sub/w2.epw", "relative")),
        by_url.as_uri(),
        f"{web.url}/w.epw",
        f"{web.url}/a%20%C3%BC.epw",
        elsewhere.uri("w.epw"),
    ]
    run, table = run_files([Files(weather=sources[i % 6]) for i in range(48)])
    expected = ["absolute", "relative", "by url", "web", "odd web", "object"]
    assert table["text"].tolist() == expected * 8
    keys, recorded = artifacts_of(run)
    assert keys == ["artifacts/weather/w.epw", "artifacts/weather/w2.epw"]
    store = store_from_settings()
    assert recorded["weather"] == sorted(
        [
            *(store.uri(f"{run.experiment_id}/{key}") for key in keys),
            *(str(s) for s in sources[2:]),
        ]
    )
    assert set(table["weather"]) == set(recorded["weather"])
    assert web.asked == {"/w.epw": 1, "/a%20%C3%BC.epw": 1}


def test_one_upload_a_content(either_store, tmp_path):
    """Specs that name a file share it, by whatever path; another content of that name is kept apart."""
    first = write("a/w.epw", "one")
    write("b/w.epw", "two")
    write("c/w.epw", "one")
    Path("link").symlink_to(first)
    paths = ["a/w.epw", "b/w.epw", "c/w.epw", "./a/../a/w.epw", str(tmp_path / "a/w.epw"), "link"]
    texts = ["one", "two", "one", "one", "one", "one"]
    run, table = run_files(
        [Files(weather=paths[i % 6], layers=[paths[i % 6]] * 2) for i in range(60)]
    )
    assert table["text"].tolist() == [f"{t}|{t}|{t}" for t in texts] * 10
    names = ["w-3fc4ccfe.epw", "w.epw"]
    keys, _ = artifacts_of(run)
    assert keys == [f"artifacts/{f}/{n}" for f in ("layers", "weather") for n in names]


def test_copied_inputs_outlive_their_origin(either_store, web, elsewhere, tmp_path, monkeypatch):
    """With copy_remote the run holds all its files: with origin and cache gone, it is run again."""
    local = write(tmp_path / "by url.epw", "by url")
    origins = [f"{web.url}/w.epw", elsewhere.uri("w.epw"), local.as_uri()]
    specs = [Files(weather=origins[i % 3]) for i in range(30)]
    run, table = run_files(specs, copy_remote=True)
    assert table["text"].tolist() == ["web", "object", "by url"] * 10
    assert web.asked == {"/w.epw": 1}
    keys, recorded = artifacts_of(run)
    assert len(keys) == 3
    assert set(recorded["weather"]) == set(table["weather"])
    assert all(uri.startswith(store_from_settings().root_uri + "/") for uri in recorded["weather"])
    web.files.clear()
    local.unlink()
    shutil.rmtree(os.environ["SCYTHE_CACHE_DIR"])
    specs = [Files(weather=uri) for uri in table["weather"]]
    assert [read_files(spec).text for spec in specs] == ["web", "object", "by url"] * 10


def test_half_downloads_never_reach_a_spec(either_store, web, tmp_path):
    """Two downloads break off; no spec sees half a file, and the cache holds nothing but the whole one."""
    whole = "a line of weather\n" * 20_000
    web.files["/w.epw"] = whole.encode()
    web.cut.extend([True, True])
    left = tmp_path / "cache" / "files" / "somewhere" / ".0123.part"
    write(left, "what a killed process left")
    _, table = run_files([Files(weather=f"{web.url}/w.epw") for _ in range(20)])
    assert [text == whole for text in table["text"]] == [True] * 20
    assert web.asked == {"/w.epw": 3}
    cached = [p for p in (tmp_path / "cache" / "files").rglob("*") if p.is_file() and p != left]
    assert [p.read_text() == whole for p in cached if p.name == "w.epw"] == [True]
    assert [p.name for p in cached if p.suffix == ".part"] == []


def test_what_cannot_be_fetched_fails_its_specs_alone(either_store, web, monkeypatch):
    """A 404, a server's error, a missing object and a file above the limit are named; others go on."""
    monkeypatch.setenv("SCYTHE_FETCH_MAX_SIZE", "1kB")
    web.files["/large.epw"] = b"x" * 2_000
    bad = {f"{web.url}/gone.epw": "404, no such file", f"{web.url}/large.epw": "larger than 1000"}
    good = write("w.epw", "fine")
    specs = [Files(weather=w) for w in [*bad, *[good] * 20]]
    run, table = run_files(specs)
    assert table["text"].tolist() == ["fine"] * 20
    errors = run.errors().sort_values("sort_index")["error_message"].tolist()
    assert len(errors) == 2
    for message, says in zip(errors, bad.values(), strict=True):
        assert says in message


def test_odd_paths(either_store):
    """Whatever a file system takes for a name arrives, as a path and as a file URL."""
    names = [
        "with spaces.epw",
        'it\'s "quoted".epw',
        "Zürich 東京 🌡.epw",
        "100% #1 a?b&c=d+e;f.epw",
        "a%20b.epw",
        "[star*]{x}$HOME~.epw",
        ".hidden",
        "-rf",
    ]
    if either_store == "folder":  # moto's server answers 404 to a key of two lines; others take it
        names.append("two\nlines.epw")
    paths = [write(Path("odd ü #") / name, name).absolute() for name in names]
    specs = [Files(weather=path, other=path.as_uri()) for path in paths]
    run, table = run_files(specs)
    assert table["text"].tolist() == [f"{name}|{name}" for name in names]
    assert sorted(artifacts_of(run)[0]) == sorted(f"artifacts/weather/{name}" for name in names)


def test_all_missing_files_are_named_before_anything_is_written(either_store, web, elsewhere):
    """One error tells each field, value and first row; neither store nor working folder has anything new."""
    good = write("w.epw", "fine")
    specs = [
        Files(weather=good),
        Files(weather="gone 1.epw", other="gone 2.epw"),
        Files(weather="gone 1.epw", layers=[good, "gone 3.epw"]),
        Files(weather="file:///no/such/file.epw", other=Path()),
        Files(weather=f"{web.url}/gone.epw", other=elsewhere.uri("gone.epw")),
    ]
    with pytest.raises(SpecError) as got:
        run_files(specs, copy_remote=True)
    message = str(got.value)
    assert message.startswith("7 input files cannot be used; nothing was written.")
    for says in (
        "weather: 'gone 1.epw' (first in row 1): does not exist",
        "other: 'gone 2.epw' (first in row 1): does not exist",
        "'gone 3.epw'",
        "weather: 'file:///no/such/file.epw' (first in row 3): does not exist",
        "(first in row 3): is a folder",
        "404, no such file",
        f"{elsewhere.uri('gone.epw')}",
    ):
        assert says in message
    store = store_from_settings()
    assert list(store.list("")) == []
    assert store.children("") == []
    assert not Path("runs").exists()
