"""What the cache knows of its files: what their servers said of them, and when these were last asked."""

import contextlib
import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

_OF_A_RUN: Final = re.compile(
    r"/v\d+\.\d+\.\d+/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_[0-9a-f]{6}/artifacts/"
)
_TOO_NEW_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Origin:
    """What a server said of a file when it gave it.

    Attributes:
        etag: Its tag of this content.
        modified: When it says that the content was last changed.
        fresh: That was just then: the next change could have the same second.
        size_bytes: Of the file.
        sha256: Of the file, the first 16 digits.
        asked: When the server was last asked whether it has changed, in seconds since the epoch.
    """

    etag: str | None = None
    modified: str | None = None
    fresh: bool = False
    size_bytes: int = 0
    sha256: str = ""
    asked: float = 0.0

    @classmethod
    def said(cls, headers: Mapping[str, str]) -> "Origin":
        """Return what the headers of an answer say."""
        modified, length = headers.get("Last-Modified"), headers.get("Content-Length", "")
        fresh = False
        if modified is not None:
            try:
                now = parsedate_to_datetime(headers["Date"])
                age_s = (now - parsedate_to_datetime(modified)).total_seconds()
            except (KeyError, ValueError, TypeError):
                age_s = 0.0
            fresh = age_s < _TOO_NEW_S
        size_bytes = int(length) if length.isdigit() else -1
        return cls(headers.get("ETag"), modified, fresh, size_bytes)

    def condition(self) -> dict[str, str]:
        """Return the headers of a request that wants the file only if it has changed."""
        modified = None if self.fresh else self.modified
        headers = {"If-None-Match": self.etag, "If-Modified-Since": modified}
        return {name: value for name, value in headers.items() if value}

    def is_still(self, now: "Origin") -> bool:
        """Return whether a server that gives the file anyway means the same: by tag, else date, else length."""
        if self.etag or now.etag:
            return _strong(self.etag) == _strong(now.etag)
        return (
            not self.fresh and self.modified == now.modified and self.size_bytes == now.size_bytes
        )


def _strong(etag: str | None) -> str:
    return (etag or "").removeprefix("W/")


def read_origin(path: Path) -> Origin | None:
    """Return what is known of a cached file; None if that is nothing, or the file was touched since."""
    try:
        stored = json.loads(_beside(path).read_bytes())
        if stored.pop("file") != identity(path):
            return None
        return Origin(**stored)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_origin(path: Path, origin: Origin) -> Origin:
    """Note what is known of a cached file, asked for now, where the cache can be written; return it."""
    origin = replace(origin, asked=time.time())
    beside = _beside(path)
    temporary = beside.with_name(f".{uuid.uuid4().hex}.part")
    with contextlib.suppress(OSError):
        try:
            temporary.write_text(json.dumps({"file": identity(path), **asdict(origin)}))
            temporary.replace(beside)
        finally:
            temporary.unlink(missing_ok=True)
    return origin


def _beside(path: Path) -> Path:
    return path.with_name(".origin")  # no cached file's name begins with a dot


def identity(path: Path) -> list[int]:
    """Return what tells a file from the one that takes its place.

    Raises:
        FileNotFoundError: There is none.
    """
    stat = path.stat()
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns]


def never_changes(uri: str) -> bool:
    """Return whether a URI is of a file that was copied into a run: such a one is put once."""
    return uri.startswith("s3://") and _OF_A_RUN.search(uri) is not None
