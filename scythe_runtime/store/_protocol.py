"""The contract of a store: where run directories live."""

import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as a listing shows it."""

    key: str
    size_bytes: int


class Store(Protocol):
    """Objects under keys: relative, "/"-separated, never leading outside the store's root.

    A store is not a file system: there are no empty folders, and no rename. Every method raises
    `StoreUnavailableError` when the store does not answer within its retries and `StoreError` for
    what the store refuses. Implementations are safe to use from several threads.
    """

    @property
    def root_uri(self) -> str:
        """The store's root as a URI without trailing slash; `open_store` takes it back."""
        ...

    def put(self, key: str, data: bytes | Path, *, create: bool = False) -> None:
        """Store an object, atomically: nobody ever sees a part of it.

        Args:
            key: Where it goes.
            data: Its bytes, or the local file that holds them (streamed, never read whole).
            create: Refuse to replace.

        Raises:
            AlreadyExistsError: `create`, and the key is taken.
        """
        ...

    def get(self, key: str) -> bytes:
        """Return an object's bytes.

        Raises:
            NotFoundError: Nothing is stored under that key.
        """
        ...

    def fetch(self, key: str, to: Path) -> Path:
        """Bring an object to a local file, by rename, its length checked; return `to`.

        Raises:
            NotFoundError: Nothing is stored under that key.
        """
        ...

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[StoredObject]:
        """Yield the objects whose key begins with `prefix`, in the order of their keys (code points).

        Args:
            prefix: Compared as text: "a/b" also finds "a/bc". "" is everything.
            start_after: Only keys greater than this one.
        """
        ...

    def children(self, prefix: str) -> builtins.list[str]:
        """Return the sorted names of the "folders" directly below `prefix`, which is "" or ends in "/"."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Return the file that holds the object where the store is on this machine, else None.

        The file may not exist. Read it, never write it.
        """
        ...

    def uri(self, key: str) -> str:
        """Return the object's URI, percent-encoded."""
        ...

    def honours_create(self) -> bool:
        """Return whether `put(create=True)` really refuses (probed once; some S3 servers ignore it)."""
        ...
