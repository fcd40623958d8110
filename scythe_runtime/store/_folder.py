"""A store in a folder of this machine's file system."""

import builtins
import errno
import io
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Final
from urllib.parse import quote

from scythe_runtime.errors import AlreadyExistsError, NotFoundError, StoreError
from scythe_runtime.store._keys import OWN_FOLDER, checked_key, is_own
from scythe_runtime.store._protocol import StoredObject

_LEFT_OVER_AFTER_S: Final = 24 * 3600.0

_HINTS: Final = {
    errno.ENOSPC: "The disk is full: free some space, then resume the run",
    errno.EDQUOT: "Your quota is used up: free some space, then resume the run",
    errno.EACCES: "You lack the permission: choose another folder with SCYTHE_STORAGE_ROOT",
    errno.EPERM: "You lack the permission: choose another folder with SCYTHE_STORAGE_ROOT",
    errno.EROFS: "It cannot be written: choose another folder with SCYTHE_STORAGE_ROOT",
    errno.ENAMETOOLONG: "A name in it is too long for this file system: use a shorter one",
    errno.ENOTDIR: "A file stands where a folder is needed",
    errno.EISDIR: "A folder stands where a file is needed",
    errno.EEXIST: "Something else of that name is in the way",
}


class FolderStore:
    """Objects as files below one folder, which is made with the first object.

    A put writes a temporary file beside the objects, flushes it to the disk and renames it, so that
    neither a reader nor a power loss ever meets half an object. A create put also flushes the folder
    (0.2 ms more, measured), because what it claims must not be claimed again after a power loss.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - without "..", which URIs do not keep

    def __repr__(self) -> str:
        return f"FolderStore({str(self.root)!r})"

    @property
    def root_uri(self) -> str:
        """The folder as a `file://` URI."""
        return self.root.as_uri().rstrip("/")

    def put(self, key: str, data: bytes | Path, *, create: bool = False) -> None:
        """Store an object, atomically."""
        target = self._path(key)
        try:
            temporary = self._write_temporary(data)
            try:
                self._move(temporary, target, create=create)
            finally:
                temporary.unlink(missing_ok=True)
        except FileExistsError as error:
            if create and target.is_file():
                raise AlreadyExistsError(f"{self.uri(key)} exists already.") from None
            raise self._refused("write", key, error) from error
        except OSError as error:
            if isinstance(data, Path) and error.filename == str(data):
                raise
            raise self._refused("write", key, error) from error

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        try:
            return self._path(key).read_bytes()
        except OSError as error:
            raise self._refused("read", key, error) from error

    def fetch(self, key: str, to: Path) -> Path:
        """Bring an object to a local file."""
        source = self._path(key)
        try:
            reading = source.open("rb")
        except OSError as error:
            raise self._refused("read", key, error) from error
        temporary = to.with_name(f".{uuid.uuid4().hex}.part")
        with reading:
            try:
                to.parent.mkdir(parents=True, exist_ok=True)
                with temporary.open("xb") as writing:
                    shutil.copyfileobj(reading, writing)
                temporary.replace(to)
            finally:
                temporary.unlink(missing_ok=True)
        return to

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[StoredObject]:
        """Yield the objects below a prefix, in the order of their keys."""
        folder, _, beginning = prefix.rpartition("/")
        base = f"{checked_key(folder)}/" if "/" in prefix else ""
        return self._walk(base, beginning, start_after or "")

    def children(self, prefix: str) -> builtins.list[str]:
        """Return the names of the folders below `prefix` that hold an object, sorted."""
        found = [name[:-1] for name, _ in self._entries(prefix) if name.endswith("/")]
        return [name for name in found if any(islice(self.list(f"{prefix}{name}/"), 1))]

    def local_path(self, key: str) -> Path:
        """Return the file that holds the object."""
        return self._path(key)

    def uri(self, key: str) -> str:
        """Return the object's `file://` URI, percent-encoded."""
        return f"{self.root_uri}/{quote(checked_key(key))}"

    def honours_create(self) -> bool:
        """Return whether the file system can claim a name (hard links; exFAT and some mounts cannot)."""
        return self._has_links

    @cached_property
    def _has_links(self) -> bool:
        try:
            probe = self._write_temporary(b"")
            link = probe.with_suffix(".link")
            try:
                os.link(probe, link)
            except OSError:
                return False
            finally:
                probe.unlink(missing_ok=True)
                link.unlink(missing_ok=True)
        except OSError as error:
            raise self._refused("write", OWN_FOLDER, error) from error
        return True

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)

    @cached_property
    def _temporary_folder(self) -> Path:
        folder = self.root / OWN_FOLDER / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        with os.scandir(folder) as entries:  # what killed processes left
            for entry in entries:
                with suppress(OSError):  # gone meanwhile, or another user's
                    if time.time() - entry.stat().st_mtime > _LEFT_OVER_AFTER_S:
                        Path(entry.path).unlink()
        return folder

    def _write_temporary(self, data: bytes | Path) -> Path:
        name = uuid.uuid4().hex
        try:
            temporary = self._temporary_folder / name
            return _write(temporary, data)
        except FileNotFoundError as error:
            if isinstance(data, Path) and error.filename == str(data):
                raise
            # somebody cleared the store while this process used it
            self.__dict__.pop("_temporary_folder", None)
            return _write(self._temporary_folder / name, data)

    def _move(self, temporary: Path, target: Path, *, create: bool) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if create and self._has_links:
            os.link(temporary, target)
            _flush_folder(target.parent)
        elif create and target.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(target))
        else:
            temporary.replace(target)

    def _entries(self, base: str) -> builtins.list[tuple[str, os.DirEntry[str]]]:
        """Return what a folder holds by name; the names of folders end in "/"."""
        try:
            with os.scandir(self.root / base) as entries:
                found = [(e.name + "/" if e.is_dir() else e.name, e) for e in entries]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._refused("list", base.rstrip("/") or ".", error) from error
        return sorted(((n, e) for n, e in found if _is_text(n)), key=itemgetter(0))

    def _walk(self, base: str, beginning: str, start_after: str) -> Iterator[StoredObject]:
        for name, entry in self._entries(base):
            key = base + name
            if not name.startswith(beginning) or is_own(key):
                continue
            if name.endswith("/"):
                if key > start_after or start_after.startswith(key):
                    yield from self._walk(key, "", start_after)
            elif key > start_after:
                with suppress(FileNotFoundError):
                    yield StoredObject(key, entry.stat().st_size)

    def _refused(self, verb: str, key: str, error: OSError) -> StoreError:
        where = self.root / key
        if (
            isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
            and verb == "read"
        ):
            return NotFoundError(f"{where} does not exist.")
        hint = _HINTS.get(error.errno or 0)
        return StoreError(
            f"cannot {verb} {where}: {error.strerror or error}." + (f" {hint}." if hint else "")
        )


def _write(temporary: Path, data: bytes | Path) -> Path:
    """Return the file, written and flushed to the disk; none is left when that fails."""
    with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as reading:
        try:
            with temporary.open("xb") as writing:
                shutil.copyfileobj(reading, writing, 1 << 20)
                writing.flush()
                os.fsync(writing.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return temporary


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
