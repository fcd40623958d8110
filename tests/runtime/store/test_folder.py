"""What is particular to a local folder."""

import errno
import os
import subprocess
import sys

import pytest

from scythe_runtime.errors import (
    AlreadyExistsError,
    NotFoundError,
    SettingsError,
    StoreError,
)
from scythe_runtime.files import parse_file
from scythe_runtime.store import open_store, store_from_settings

CREATOR = """
import sys
from scythe_runtime.errors import AlreadyExistsError
from scythe_runtime.files import parse_file
from scythe_runtime.store import open_store
store = open_store(sys.argv[1])
won = []
sys.stdin.readline()
for number in range(50):
    try:
        store.put(f"claims/{number}", sys.argv[2].encode(), create=True)
        won.append(number)
    except AlreadyExistsError:
        pass
print(*won)
"""


@pytest.fixture
def store(tmp_path):
    """Return a store in a new folder."""
    return open_store((tmp_path / "runs").as_uri())


def test_opening_writes_nothing(store, tmp_path):
    """A store that is only opened and read makes no folder."""
    assert list(store.list("")) == []
    assert store.children("") == []
    assert list(tmp_path.iterdir()) == []


def test_one_process_of_many_wins_each_claim(store):
    """Three processes claim the same fifty keys: each key has one winner, whose bytes it holds."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CREATOR, store.root_uri, str(i)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(3)
    ]
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    won = [list(map(int, child.communicate(timeout=60)[0].split())) for child in children]
    assert sorted(number for numbers in won for number in numbers) == list(range(50))
    for winner, numbers in enumerate(won):
        assert all(store.get(f"claims/{number}") == b"%d" % winner for number in numbers)


def test_without_hard_links_create_still_refuses(store, monkeypatch):
    """On a file system without hard links, that is said, and a taken key is refused all the same."""

    def no_links(*args):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert not store.honours_create()
    store.put("a", b"1", create=True)
    with pytest.raises(AlreadyExistsError):
        store.put("a", b"2", create=True)
    assert store.get("a") == b"1"


def test_a_full_disk_leaves_the_old_object(store, monkeypatch):
    """A put that fails half-way says why, keeps what was there and leaves no temporary file."""
    store.put("a", b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="The disk is full"):
        store.put("a", b"new")
    assert store.get("a") == b"old"
    own = store.root / ".scythe"
    assert [p for p in own.rglob("*") if p.is_file()] == []


def test_a_file_in_the_way(store):
    """A key below an object, and a key that is a folder, are refused in one line."""
    store.put("a", b"")
    store.put("b/c", b"")
    for key in ("a/b", "b"):
        for create in (False, True):
            with pytest.raises(StoreError, match="cannot write") as got:
                store.put(key, b"", create=create)
            assert not isinstance(got.value, AlreadyExistsError)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(store, tmp_path):
    """A folder that cannot be written is named with the setting that moves it."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="SCYTHE_STORAGE_ROOT"):
            store.put("a", b"")
    finally:
        tmp_path.chmod(0o700)


def test_a_name_too_long_for_the_file_system(store):
    """A name of 300 bytes is refused with the hint to shorten it."""
    with pytest.raises(StoreError, match="use a shorter one"):
        store.put("x" * 300, b"")
    with pytest.raises(StoreError):
        store.get("x" * 300)


def test_foreign_files_do_not_disturb(store):
    """Empty folders are not there, and a file whose name is no text is left out."""
    store.put("e/v1/run/a", b"")
    (store.root / "e" / "empty" / "deeper").mkdir(parents=True)
    (store.root / "e" / os.fsdecode(b"\xff")).write_bytes(b"")
    assert store.children("e/") == ["v1"]
    assert [o.key for o in store.list("")] == ["e/v1/run/a"]


def test_a_store_cleared_while_in_use(store):
    """A process that has put before can go on after somebody has removed the whole folder."""
    import shutil

    store.put("a", b"1")
    shutil.rmtree(store.root)
    store.put("a", b"2")
    assert store.get("a") == b"2"


def test_left_over_temporary_files_go_away(store):
    """What a killed process left is removed a day later; what is recent is somebody's and stays."""
    store.put("a", b"")
    folder = store.root / ".scythe" / "tmp"
    for name, age_s in (("old", 2 * 86_400), ("recent", 60)):
        (folder / name).write_bytes(b"half")
        then = (folder / name).stat().st_mtime - age_s
        os.utime(folder / name, (then, then))
    open_store(store.root_uri).put("b", b"")
    assert [p.name for p in folder.iterdir()] == ["recent"]


def test_a_missing_source_is_told_apart_from_the_store(store, tmp_path):
    """A put of a file that is not there is a FileNotFoundError of that file, not a StoreError."""
    with pytest.raises(FileNotFoundError, match="gone") as got:
        store.put("a", tmp_path / "gone")
    assert not isinstance(got.value, NotFoundError)


def test_files_have_the_users_permissions(store):
    """Others can read run directories as the user's umask says, as with any file."""
    old = os.umask(0o022)
    try:
        store.put("a", b"")
        assert (store.root / "a").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(old)


def test_dots_in_the_root_are_resolved(tmp_path, monkeypatch):
    """A root with ".." gives URIs that file references keep letter by letter."""
    monkeypatch.setenv("SCYTHE_STORAGE_ROOT", str(tmp_path / "repo" / ".." / "runs"))
    monkeypatch.delenv("SCYTHE_STORAGE_BUCKET", raising=False)
    store = store_from_settings()
    assert store.root_uri == (tmp_path / "runs").as_uri()
    assert str(parse_file(store.uri("a"))) == store.uri("a")


@pytest.mark.parametrize(
    "uri", ["runs", "/runs", "file:runs", "http://x/y", "s3:///x", "file://host/x", ""]
)
def test_what_is_no_store(uri):
    """A URI of another form is a SettingsError that shows the right ones."""
    with pytest.raises(SettingsError, match="file:///folder or s3://bucket/prefix"):
        open_store(uri)


def test_the_default_is_runs_in_the_repository(tmp_path, monkeypatch):
    """Without a bucket, runs/ at the root of the repository is the store, wherever one stands."""
    for name in ("SCYTHE_STORAGE_BUCKET", "SCYTHE_STORAGE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pyproject.toml").write_text("[tool.scythe]\n")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert store_from_settings().root_uri == (tmp_path / "runs").as_uri()
