"""What every store must do, as tests that its author inherits. Needs pytest."""

import builtins
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import ClassVar

import pytest

from scythe_runtime.errors import AlreadyExistsError, NotFoundError, StoreError
from scythe_runtime.files import parse_file
from scythe_runtime.store import Store, check, open_store

ODD_KEYS = (
    "plain.txt",
    "a folder/with spaces.csv",
    'quotes/it\'s "quoted".csv',
    "unicode/Zürich 東京 🌡.epw",
    "signs/100% #1 a?b&c=d+e;f.csv",
    "encoded/a%20b.csv",
    "dots/..hidden../x.tar.gz",
)

OUTSIDE_KEYS = (
    "../x",
    "a/../../x",
    "/etc/x",
    "a//b",
    "a/./b",
    "",
    "a/",
    "a\0b",
    "\udcff",
    "x" * 1025,
)


class StoreTestCase:
    """The conformance tests of a store; inherit it and give the fixture `store`, empty and new each time.

    class TestMyStore(StoreTestCase):
        @pytest.fixture
        def store(self, tmp_path):
            return MyStore(tmp_path)

    Attributes:
        page_size: How many objects the store's server shows on a page of a listing, at most.
    """

    page_size: ClassVar[int] = 1_000

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store."""
        raise NotImplementedError("give a fixture named store")

    def test_bytes_come_back(self, store: Store) -> None:
        """What was put is what is got, also nothing and every byte."""
        for data in (b"", b"\r\n\0", bytes(range(256)) * 1000):
            store.put("a/b", data)
            assert store.get("a/b") == data

    def test_a_file_comes_back(self, store: Store, tmp_path: Path) -> None:
        """A put from a file and a fetch to a file bring the content and leave nothing beside it."""
        data = os.urandom(3_000_001)
        source = tmp_path / "source"
        source.write_bytes(data)
        store.put("a/b.bin", source)
        to = tmp_path / "new folder" / "target"
        assert store.fetch("a/b.bin", to) == to
        assert to.read_bytes() == data
        assert [p.name for p in to.parent.iterdir()] == ["target"]

    def test_put_replaces(self, store: Store) -> None:
        """A second put wins, also with fewer bytes."""
        store.put("a", b"long content")
        store.put("a", b"short")
        assert store.get("a") == b"short"

    def test_create_refuses_a_taken_key(self, store: Store, tmp_path: Path) -> None:
        """A create put stores under a free key and leaves a taken one as it is, bytes or file."""
        source = tmp_path / "source"
        source.write_bytes(b"third")
        store.put("claim", b"first", create=True)
        for data in (b"second", b"first", source):
            with pytest.raises(AlreadyExistsError, match="claim"):
                store.put("claim", data, create=True)
        assert store.get("claim") == b"first"

    def test_one_of_many_creators_wins(self, store: Store) -> None:
        """Of creators at the same instant exactly one wins, and its bytes stay."""
        if not store.honours_create():
            pytest.skip("this store's create is best effort")
        creators = 8
        barrier = Barrier(creators)

        def create(number: int) -> bool:
            barrier.wait(30)
            try:
                store.put("claims/v1", b"%d" % number, create=True)
            except AlreadyExistsError:
                return False
            return True

        with ThreadPoolExecutor(creators) as pool:
            won = list(pool.map(create, range(creators)))
        assert won.count(True) == 1
        assert store.get("claims/v1") == b"%d" % won.index(True)

    def test_missing_objects(self, store: Store, tmp_path: Path) -> None:
        """Getting or fetching what is not there names it, and makes no file."""
        store.put("a/b", b"")
        for key in ("no such key", "a", "a/b/c"):
            with pytest.raises(NotFoundError) as got:
                store.get(key)
            assert key.replace(" ", "%20") in str(got.value).replace(" ", "%20")
            with pytest.raises(NotFoundError):
                store.fetch(key, tmp_path / "target")
        assert not (tmp_path / "target").exists()

    def test_list_is_in_the_order_of_code_points(self, store: Store) -> None:
        """Listing is complete and sorted by whole keys, folders or not; prefixes are text."""
        keys = [
            "a.txt",
            "a/b",
            "a/c/d",
            "a0",
            "B",
            "a-/x",
            "é",
            "z",
            "東京/x",
            "a/b.txt",
            "aa/x",
            "🌡",
        ]
        for key in keys:
            store.put(key, key.encode())
        assert [(o.key, o.size_bytes) for o in store.list("")] == [
            (key, len(key.encode())) for key in sorted(keys)
        ]
        for prefix in ("a", "a/", "a/b", "a/c/", "none", "none/x", "a/b/"):
            assert self._keys(store, prefix) == sorted(k for k in keys if k.startswith(prefix))

    def test_list_starts_after(self, store: Store) -> None:
        """A listing goes on after any key, whether that one exists or not."""
        keys = sorted(f"parts/{kind}/{i:03d}" for kind in ("p1", "p2", "p2.x") for i in range(4))
        for key in keys:
            store.put(key, b"")
        for after in (
            "",
            "parts/p1/002",
            "parts/p1",
            "parts/p1/",
            "parts/p2/0015",
            "parts/p2.",
            "zzz",
            "a",
        ):
            expected = [key for key in keys if key > after]
            assert self._keys(store, "parts/", after) == expected
        assert self._keys(store, "parts/p2/", "parts/p2/001") == ["parts/p2/002", "parts/p2/003"]

    def test_long_listings(self, store: Store) -> None:
        """More objects than a page holds are all listed."""
        keys = [f"many/{i:04d}" for i in range(self.page_size + 3)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: store.put(key, b""), keys))
        assert self._keys(store, "many/") == keys

    def test_children(self, store: Store) -> None:
        """The folders directly below are named once each, sorted; objects are not folders."""
        for key in ("e/v1.0.0/a/x", "e/v1.0.0/b/x", "e/v1.10.0/x", "e/v1.2.0/x", "e/file", "f"):
            store.put(key, b"")
        assert store.children("e/") == ["v1.0.0", "v1.10.0", "v1.2.0"]
        assert store.children("") == ["e"]
        assert store.children("none/") == []

    def test_odd_keys(self, store: Store) -> None:
        """Spaces, quotes, unicode, percent signs and the like are characters as all others."""
        for key in ODD_KEYS:
            store.put(key, key.encode(), create=True)
        assert self._keys(store, "") == sorted(ODD_KEYS)
        assert [store.get(key) for key in ODD_KEYS] == [key.encode() for key in ODD_KEYS]

    def test_uris_are_distinct_and_valid(self, store: Store) -> None:
        """Each key has its own URI, which file references accept and keep letter by letter."""
        uris = [store.uri(key) for key in ODD_KEYS]
        assert len(set(uris)) == len(ODD_KEYS)
        for uri in uris:
            assert uri.isascii()
            assert uri.startswith(store.root_uri + "/")
            assert str(parse_file(uri)) == uri

    @pytest.mark.parametrize("key", OUTSIDE_KEYS)
    def test_keys_that_no_store_takes(self, store: Store, key: str, tmp_path: Path) -> None:
        """A key that leads outside or is no clean path is refused by every method, in one line."""
        for use in (
            lambda: store.put(key, b""),
            lambda: store.get(key),
            lambda: store.fetch(key, tmp_path / "target"),
            lambda: store.local_path(key),
            lambda: store.uri(key),
        ):
            with pytest.raises(StoreError) as got:
                use()
            assert len(str(got.value).splitlines()) == 1
        assert not (tmp_path / "target").exists()

    def test_local_path(self, store: Store) -> None:
        """Where the store is on this machine, the object can be read in place."""
        store.put("a/b c", b"content")
        path = store.local_path("a/b c")
        assert path is None or path.read_bytes() == b"content"

    def test_the_root_uri_opens_the_same_store(self, store: Store) -> None:
        """Another process that has only the URI sees the same objects."""
        store.put("a/b", b"content")
        other = open_store(store.root_uri)
        assert other.get("a/b") == b"content"
        assert other.root_uri == store.root_uri

    def test_check_leaves_nothing_to_see(self, store: Store) -> None:
        """The check passes on a sound store and leaves no object in listings."""
        check(store)
        store.honours_create()
        assert self._keys(store, "") == []
        assert store.children("") == []

    def test_readers_never_see_half_an_object(self, store: Store) -> None:
        """While an object is replaced again and again, each read sees one whole version."""
        versions = [bytes([i]) * 200_000 for i in range(10)]
        store.put("hot", versions[0])

        def write() -> None:
            for version in versions:
                store.put("hot", version)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not writing.done():
                assert store.get("hot") in versions
            writing.result()

    @staticmethod
    def _keys(store: Store, prefix: str, start_after: str | None = None) -> builtins.list[str]:
        return [found.key for found in store.list(prefix, start_after=start_after)]
