"""A store of which a process need not read again what it has put or read itself."""

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scythe_runtime.store._protocol import Store, StoredObject

_KEPT_BYTES: Final = 16 * 1024**2


def without_rereading(store: Store, *prefixes: str) -> Store:
    """Return the store, or one that answers gets and fetches from memory where it can.

    A request to S3 takes tens of milliseconds and costs money; a local folder is returned as it is.

    Args:
        store: Any store.
        prefixes: Where no other process replaces an object. What is elsewhere is not kept.
    """
    return store if store.local_path("x") is not None else OnceStore(store, prefixes)


class OnceStore:
    """Keeps up to 16 MiB of what was put or got below some prefixes."""

    def __init__(self, store: Store, prefixes: tuple[str, ...]) -> None:
        self._store = store
        self._prefixes = prefixes
        self._kept: dict[str, bytes] = {}
        self._room_bytes = _KEPT_BYTES

    @property
    def root_uri(self) -> str:
        """The store's root."""
        return self._store.root_uri

    def put(self, key: str, data: bytes | Path, *, create: bool = False) -> None:
        """Store an object."""
        self._store.put(key, data, create=create)
        self._room_bytes += len(self._kept.pop(key, b""))
        if isinstance(data, bytes):
            self._keep(key, data)

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        kept = self._kept.get(key)
        if kept is None:
            kept = self._store.get(key)
            self._keep(key, kept)
        return kept

    def fetch(self, key: str, to: Path) -> Path:
        """Bring an object to a local file."""
        kept = self._kept.get(key)
        if kept is None:
            return self._store.fetch(key, to)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(kept)
        return to

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[StoredObject]:
        """Yield the objects below a prefix."""
        return self._store.list(prefix, start_after=start_after)

    def children(self, prefix: str) -> builtins.list[str]:
        """Return the names of the folders below `prefix`."""
        return self._store.children(prefix)

    def local_path(self, key: str) -> Path | None:
        """Return the file that holds the object, if the store has it."""
        return self._store.local_path(key)

    def uri(self, key: str) -> str:
        """Return the object's URI."""
        return self._store.uri(key)

    def honours_create(self) -> bool:
        """Return whether create refuses."""
        return self._store.honours_create()

    def _keep(self, key: str, data: bytes) -> None:
        if key.startswith(self._prefixes) and len(data) <= self._room_bytes:
            self._room_bytes -= len(data)
            self._kept[key] = data
