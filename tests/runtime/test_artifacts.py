"""Input files: found and checked once, placed once."""

import os
from pathlib import Path

import pyarrow as pa
import pytest

from scythe_runtime.artifacts import find_artifacts, place, place_artifacts
from scythe_runtime.errors import SpecError, StoreError
from scythe_runtime.layout import RunLayout
from scythe_runtime.store import open_store

LAYOUT = RunLayout("office/v1.0.0/20260101")


@pytest.fixture
def store(tmp_path):
    """Return a store in a new folder."""
    return open_store((tmp_path / "runs").as_uri())


@pytest.fixture
def root(tmp_path):
    """Return a folder with input files, some of one name, some of one content."""
    for name, text in {
        "a/w.csv": "one",
        "b/w.csv": "two",
        "c/w.csv": "one",
        "d/W.CSV": "three",
        "e/it's ü 100% #1.csv": "odd",
    }.items():
        path = tmp_path / "repo" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path / "repo"


def _keys(store):
    return [found.key for found in store.list("")]


def _content(store, uri):
    return store.get(next(key for key in _keys(store) if store.uri(key) == uri)).decode()


def test_each_content_is_put_once_a_field(store, root):
    """Specs that share a file share its one copy; each value has its URI, None has none."""
    column = ["a/w.csv", None, "./a/w.csv", str(root / "a/w.csv"), "c/w.csv", "a/w.csv"] * 100
    placed = place_artifacts(
        {"weather": column, "other": ["a/w.csv"]}, store=store, layout=LAYOUT, root=root
    )
    assert _keys(store) == [LAYOUT.artifact("other", "w.csv"), LAYOUT.artifact("weather", "w.csv")]
    uri = store.uri(LAYOUT.artifact("weather", "w.csv"))
    values = {value for value in column if value is not None}
    assert placed.uris["weather"] == dict.fromkeys(values, uri)
    assert placed.locations == {
        "weather": [uri],
        "other": [store.uri(LAYOUT.artifact("other", "w.csv"))],
    }
    assert placed.uploaded_bytes == 6


@pytest.mark.parametrize("reverse", [False, True])
def test_one_name_and_other_contents_are_kept_apart(store, root, reverse):
    """The first by path keeps its name, others get a hash, in whatever order the specs come.

    Names that differ in case alone are one name, since file systems exist that say so.
    """
    column = ["a/w.csv", "b/w.csv", "c/w.csv", "d/W.CSV"]
    if reverse:
        column.reverse()
    placed = place_artifacts({"w": column}, store=store, layout=LAYOUT, root=root)
    uris = placed.uris["w"]
    assert uris["a/w.csv"] == uris["c/w.csv"] == store.uri(LAYOUT.artifact("w", "w.csv"))
    assert uris["b/w.csv"] == store.uri(LAYOUT.artifact("w", "w-3fc4ccfe.csv"))
    assert uris["d/W.CSV"] == store.uri(LAYOUT.artifact("w", "W-8b5b9db0.CSV"))
    assert {value: _content(store, uri) for value, uri in uris.items()} == {
        "a/w.csv": "one",
        "b/w.csv": "two",
        "c/w.csv": "one",
        "d/W.CSV": "three",
    }


def test_a_hash_never_meets_a_real_name(store, root):
    """A file that already has the name with the hash keeps it, and nothing is overwritten."""
    (root / "w-3fc4ccfe.csv").write_text("real")
    placed = place_artifacts(
        {"w": ["a/w.csv", "b/w.csv", "w-3fc4ccfe.csv"]}, store=store, layout=LAYOUT, root=root
    )
    contents = {value: _content(store, uri) for value, uri in placed.uris["w"].items()}
    assert contents == {"a/w.csv": "one", "b/w.csv": "two", "w-3fc4ccfe.csv": "real"}


def test_odd_names(store, root):
    """Spaces, quotes, unicode and signs in a name survive."""
    value = "e/it's ü 100% #1.csv"
    placed = place_artifacts({"w": [value]}, store=store, layout=LAYOUT, root=root)
    assert _content(store, placed.uris["w"][value]) == "odd"


def test_all_files_that_cannot_be_used_are_named_at_once(store, root):
    """One error with each field, value, first row and reason, before anything is written."""
    columns = {
        "w": ["a/w.csv", "gone.csv", "gone.csv", "a"],
        "x": [None, None, "file:///no/such/file", "ftp://example.org/x"],
    }
    with pytest.raises(SpecError) as got:
        place_artifacts(columns, store=store, layout=LAYOUT, root=root)
    lines = str(got.value).splitlines()
    assert lines[0].startswith("4 input files cannot be used; nothing was written.")
    assert "w: 'gone.csv' (first in row 1): does not exist" in lines[1]
    assert str(root / "gone.csv") in lines[1]
    assert "w: 'a' (first in row 3): is a folder" in lines[2]
    assert "x: 'file:///no/such/file' (first in row 2): does not exist" in lines[3]
    assert "x: 'ftp://example.org/x' (first in row 3): ftp:// cannot be fetched" in lines[4]
    assert _keys(store) == []


def test_a_thousand_missing_files_are_counted(root):
    """The first twenty are shown, the rest is a number."""
    with pytest.raises(SpecError, match="1000 input files") as got:
        find_artifacts({"w": [f"{i}.csv" for i in range(1000)]}, root=root)
    lines = str(got.value).splitlines()
    assert len(lines) == 22
    assert lines[-1].strip() == "and 980 more"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(root):
    """A file that may not be read is found before anything is written."""
    (root / "a/w.csv").chmod(0)
    with pytest.raises(SpecError, match="no permission"):
        find_artifacts({"w": ["a/w.csv"]}, root=root)


def test_special_files_are_no_inputs(root):
    """A pipe is refused instead of waited for."""
    os.mkfifo(root / "pipe")
    with pytest.raises(SpecError, match="not a regular file"):
        find_artifacts({"w": ["pipe"]}, root=root)


def test_urls_stay_unless_copied(store, root):
    """URLs are recorded as they are; with copy_remote a file:// file is put into the run as well."""
    local = (root / "a/w.csv").as_uri()
    column = [local, "https://example.org/w.csv", "s3://bucket/w.csv"]
    placed = place_artifacts({"w": column}, store=store, layout=LAYOUT, root=root)
    assert placed.uris["w"] == {value: value for value in column}
    assert placed.locations["w"] == sorted(column)
    assert (placed.uploaded_bytes, _keys(store)) == (0, [])
    placed = place_artifacts(
        {"w": [local]}, store=store, layout=LAYOUT, root=root, copy_remote=True
    )
    assert placed.uris["w"] == {local: store.uri(LAYOUT.artifact("w", "w.csv"))}


def test_arrow_columns_and_paths(store, root):
    """Arrow arrays, plain or dictionary-encoded, and Path objects are columns like lists of strings."""
    values = ["a/w.csv", None, "b/w.csv", "a/w.csv"]
    expected = None
    for column in (
        values,
        [None if v is None else Path(v) for v in values],
        pa.array(values),
        pa.chunked_array([pa.array(values[:2]), pa.array(values[2:])]),
        pa.array(values).dictionary_encode(),
    ):
        placed = place_artifacts({"w": column}, store=store, layout=LAYOUT, root=root)
        expected = expected or placed
        assert placed == expected
    with pytest.raises(SpecError, match="first in row 2"):
        find_artifacts({"w": pa.array([None, "a/w.csv", "gone"])}, root=root)


def test_each_file_is_looked_at_once(root, monkeypatch):
    """A hundred thousand rows that name two files ask the file system about two."""
    asked = []
    access = os.access
    monkeypatch.setattr(os, "access", lambda *a: asked.append(a) or access(*a))
    find_artifacts({"w": ["a/w.csv", "b/w.csv"] * 50_000}, root=root)
    assert len(asked) == 2


def test_a_file_that_goes_between_the_phases(store, root):
    """A file that is removed after it was found is named, without a traceback's worth of text."""
    found = find_artifacts({"w": ["a/w.csv", "e/it's ü 100% #1.csv"]}, root=root)
    (root / "a/w.csv").unlink()
    with pytest.raises(SpecError, match="could be read before"):
        place(found, store=store, layout=LAYOUT)


def test_a_store_that_fails_says_so(root, tmp_path):
    """Trouble of the store stays a StoreError."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        place_artifacts(
            {"w": ["a/w.csv"]},
            store=open_store((tmp_path / "file").as_uri()),
            layout=LAYOUT,
            root=root,
        )


def test_progress_counts_to_the_end(store, root):
    """Each file that is done is told, up to the number of all."""
    told = []
    place_artifacts(
        {"w": ["a/w.csv", "b/w.csv", "c/w.csv"], "x": ["a/w.csv"]},
        store=store,
        layout=LAYOUT,
        root=root,
        progress=lambda done, total: told.append((done, total)),
    )
    assert sorted(told) == [(1, 3), (2, 3), (3, 3)]


def test_nothing_to_do(store, root):
    """No columns, or columns of None, write nothing."""
    assert place_artifacts({}, store=store, layout=LAYOUT, root=root).uris == {}
    placed = place_artifacts({"w": [None, None]}, store=store, layout=LAYOUT, root=root)
    assert (placed.uris, placed.locations, _keys(store)) == ({"w": {}}, {"w": []}, [])
