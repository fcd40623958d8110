"""Files from elsewhere: to a place, or to a cache that all runs of this machine share.

A file of the cache is used when its server says that it is still the same. It is asked once a run and
machine, as far as slots start together, and at most once a process and run.
"""

import hashlib
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from scythe_runtime.cached import Origin, identity, never_changes, read_origin, write_origin
from scythe_runtime.errors import NotFoundError, StoreError, StoreUnavailableError, UsageError
from scythe_runtime.files import FileUrl, S3Url, parse_file, shown

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from pydantic import AnyUrl, HttpUrl
    from urllib3 import PoolManager

    from scythe_runtime.files import FileValue

_ATTEMPTS: Final = 4
_PIECE_BYTES: Final = 1024**2
_LONGEST_NAME_BYTES: Final = 120
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_HTTP_OK: Final = 200
_HTTP_SAME: Final = 304
_HTTP_GONE: Final = frozenset({404, 410})
_HTTP_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_KNOWN_CONNECT_S: Final = 10.0
"""How long to wait for a connection where there is a copy to go on with."""

_log = logging.getLogger("scythe.experiment.files")  # to where specs log: the run's logs, Hatchet

_since = time.time()
"""What was asked before this is asked again."""
_looked_at: dict[Path, tuple[Origin, list[int]]] = {}
"""What this process has asked for, and the file that it was."""
_news: dict[str, str] = {}
_silent: set[str] = set()


class _NoAnswerError(Exception):
    """A server does not answer, and there is a copy of its file."""


class _BrokenOffError(Exception):
    """The body of an answer ended early; worth another attempt."""


def fetch_uri(
    uri: "AnyUrl | HttpUrl | Path | str",
    local_path: Path,
    use_cache: bool = True,  # noqa: FBT001, FBT002 - as in the released API
    s3: "S3Client | None" = None,
) -> Path:
    """Return `local_path`, where the file behind a URI now is.

    The file appears at once and whole: a reader never sees half of it, whatever happens and however
    many fetch it at the same time.

    Args:
        uri: http(s)://, s3:// or file://, or a path.
        local_path: Where it goes.
        use_cache: Keep what is at `local_path` already.
        s3: The client for s3:// instead of one made from the environment.

    Raises:
        NotFoundError: There is no such file.
        StoreUnavailableError: The other side does not answer, or never sends the whole file.
        StoreError: It refuses, or the file is larger than SCYTHE_FETCH_MAX_SIZE.
    """
    local_path = Path(local_path)
    if use_cache and local_path.exists():
        return local_path
    source = _parsed(uri)
    with _alone_with(local_path):
        if not (use_cache and local_path.exists()):  # else somebody has just fetched it
            _fetch(source, local_path, s3)
    return local_path


def _fetch(
    source: "FileValue", target: Path, s3: "S3Client | None", known: Origin | None = None
) -> Origin | None:
    """Put a file where it goes, whole, and return what is known of it; None: it is still the known one.

    Raises:
        StoreUnavailableError: No answer, or one that breaks off.
        _NoAnswerError: No answer, and a known one is there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        said = _bring(source, temporary, s3, known)
        if said is None:
            return None
        with temporary.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()[:16]
            os.fsync(file.fileno())
        temporary.replace(target)
        return replace(said, size_bytes=target.stat().st_size, sha256=sha256)
    except StoreUnavailableError as error:
        if known is None or (temporary.exists() and temporary.stat().st_size):
            raise
        raise _NoAnswerError(str(error)) from None
    finally:
        with suppress(OSError):  # a cache that cannot be written
            temporary.unlink(missing_ok=True)


def local_file(
    uri: "AnyUrl | HttpUrl | Path | str", *, use_cache: bool = True, s3: "S3Client | None" = None
) -> Path:
    """Return a file to read: a path or file:// as it is, all else from the cache, if that is still the same.

    Where the server cannot be reached the copy in the cache is used, and a warning says so. What was
    copied into a run never changes, and is not asked for.

    Args:
        uri: Which.
        use_cache: Take what is in the cache where it is still the same; else it is fetched anew.
        s3: The client for s3:// instead of one made from the environment.

    Raises:
        StoreError: As `fetch_uri`.
    """
    source = _parsed(uri)
    if isinstance(source, FileUrl):
        source = source.to_path()
    if isinstance(source, Path):
        if not source.is_file():
            raise NotFoundError(f"{source} does not exist or is not a file.")
        return source
    name = str(source)
    target = cache_path(name)
    if use_cache and never_changes(name):
        return fetch_uri(source, target, s3=s3)
    if use_cache and _is_known(target):
        return target
    with _alone_with(target):
        known = read_origin(target) if use_cache else None
        if known is None or known.asked < _since:
            known = _brought_up_to_date(source, target, s3, known, use_cache=use_cache)
        _looked_at[target] = known, identity(target)
    if known.sha256:
        _news[name] = known.sha256
    return target


def look_again(since: float) -> None:
    """Ask servers anew for what was asked before a moment, in seconds since the epoch.

    Who runs many runs in one process calls it for each, with the time of its allocation.
    """
    global _since  # noqa: PLW0603 - there is one cache
    if since > _since:
        _since = since
        _silent.clear()


def newly_used() -> dict[str, str]:
    """Return the digests of contents by URI that this process has met since it was last asked."""
    found = dict(_news)
    _news.clear()
    return found


def _is_known(target: Path) -> bool:
    """Return whether a file is the one that this process has looked at, and that is not too long ago."""
    origin, file = _looked_at.get(target, (None, None))
    if origin is None or origin.asked < _since:
        return False
    try:
        return identity(target) == file
    except OSError:
        return False


def _brought_up_to_date(
    source: "FileValue",
    target: Path,
    s3: "S3Client | None",
    known: Origin | None,
    *,
    use_cache: bool,
) -> Origin:
    """Return what is known of the file in the cache, after its server was asked."""
    there = use_cache and target.exists()
    before = known or Origin()  # nothing is known of a file that somebody touched: fetched anew
    host = urlsplit(str(source)).netloc.rpartition("@")[2]
    if there and host in _silent:
        _warn(source, target, f"{host} did not answer before.")
        return write_origin(target, before)
    try:
        said = _fetch(source, target, s3, before if there else None)
    except _NoAnswerError as error:
        _silent.add(host)
        _warn(source, target, str(error))
        said = None
    return write_origin(target, before if said is None else said)


def _warn(source: "FileValue", target: Path, reason: str) -> None:
    fetched = time.strftime("%Y-%m-%d %H:%M", time.localtime(target.stat().st_mtime))
    _log.warning(
        "%s may have changed: %s The copy that was fetched on %s is used.",
        *(shown(str(source)), reason, fetched),
    )


def cache_folder() -> Path:
    """Return the folder of the cache: SCYTHE_CACHE_DIR, else the platform's place; it may not exist."""
    named = os.environ.get("SCYTHE_CACHE_DIR")
    if named:
        return Path(named).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("scythe", appauthor=False)


def cache_path(uri: str) -> Path:
    """Return where the cache keeps the file behind a URI: a folder of its own, under its own name."""
    return cache_folder() / "files" / _digest(uri) / file_name(uri)


def file_name(uri: str) -> str:
    """Return the last part of a URI, decoded, as a name that stays in its folder; never empty."""
    parts = urlsplit(uri)
    path = uri.partition("://")[2] if parts.scheme == "s3" else parts.path
    name = _UNSAFE.sub("_", unquote(path.rstrip("/").rpartition("/")[2])).strip(". ") or "file"
    stem, dot, suffix = name.rpartition(".")
    if len(name.encode()) <= _LONGEST_NAME_BYTES:
        return name
    room = max(_LONGEST_NAME_BYTES - len(suffix.encode()) - 1, 16) if dot else _LONGEST_NAME_BYTES
    cut = (stem or name).encode()[:room].decode(errors="ignore")
    return f"{cut}.{suffix}" if dot and len(suffix) < room else cut


def _parsed(uri: "AnyUrl | HttpUrl | Path | str") -> "FileValue":
    if isinstance(uri, Path):
        return uri
    try:
        return parse_file(str(uri))
    except ValueError as error:
        raise UsageError(f"{shown(str(uri))!r} {error}.") from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@contextmanager
def _alone_with(target: Path) -> Iterator[None]:
    """Let one process at a time fetch a target, where the platform has locks.

    Only saves work: without it, the last one's whole file stays.
    """
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows
        yield
        return
    folder = cache_folder() / "locks"
    descriptor = None
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(
            folder / _digest(str(target.absolute())), os.O_RDWR | os.O_CREAT, 0o666
        )
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _bring(
    source: Any, temporary: Path, s3: "S3Client | None", known: Origin | None
) -> Origin | None:
    """Write the source into a new file and return what its server said; None: it is still the known one."""
    if isinstance(source, FileUrl):
        source = source.to_path()
    if isinstance(source, Path):
        try:
            shutil.copyfile(source, temporary)
        except FileNotFoundError:
            raise NotFoundError(f"{source} does not exist.") from None
        except OSError as error:
            raise StoreError(f"cannot read {source}: {error.strerror}.") from None
        return Origin()
    if isinstance(source, S3Url):
        return _bring_s3(source, temporary, s3, known)
    return _bring_http(str(source), temporary, known)


def _bring_s3(
    url: S3Url, temporary: Path, s3: "S3Client | None", known: Origin | None
) -> Origin | None:
    from scythe_runtime.settings import FetchSettings
    from scythe_runtime.store._s3 import S3Store

    limit_bytes = FetchSettings().MAX_SIZE
    store = S3Store(url.bucket, client=s3, hasty=known is not None)
    with temporary.open("xb") as file:
        etag = store.download(
            url.key, file, limit_bytes=limit_bytes, known_etag=known.etag if known else None
        )
    return None if etag is None else Origin(etag=etag)


def _bring_http(uri: str, temporary: Path, known: Origin | None) -> Origin | None:
    import urllib3

    from scythe_runtime.settings import FetchSettings

    settings = FetchSettings()
    seconds = settings.TIMEOUT.total_seconds()
    timeout = urllib3.Timeout(seconds)
    if known is not None:
        timeout = urllib3.Timeout(connect=min(seconds, _KNOWN_CONNECT_S), read=seconds)
    retries = urllib3.Retry(
        total=_ATTEMPTS,
        connect=None if known is None else 1,
        read=None if known is None else 1,
        backoff_factor=0.1,
        backoff_max=10,
        status_forcelist=_HTTP_LATER,
        raise_on_status=False,
        respect_retry_after_header=False,  # it may say an hour
    )
    # identity: what arrives is what is stored, so that its length can be checked
    headers = {"Accept-Encoding": "identity", **(known.condition() if known else {})}
    address = urllib3.util.parse_url(uri)
    if address.auth:
        headers |= urllib3.make_headers(basic_auth=unquote(address.auth))
    reason = ""
    with _http(uri, timeout=timeout, retries=retries) as http:
        for _ in range(_ATTEMPTS):
            try:
                answer = http.request(
                    "GET", address._replace(auth=None).url, preload_content=False, headers=headers
                )
                try:
                    if known is not None and answer.status == _HTTP_SAME:
                        return None
                    _check_answer(uri, answer, settings.MAX_SIZE)
                    said = Origin.said(answer.headers)
                    if known is not None and known.sha256 and known.is_still(said):
                        return None
                    with temporary.open("wb") as file:
                        _receive(uri, answer, file, settings.MAX_SIZE)
                finally:
                    answer.close()
            except (_BrokenOffError, urllib3.exceptions.ProtocolError) as error:
                reason = (
                    str(error) if isinstance(error, _BrokenOffError) else "the connection broke"
                )
            except urllib3.exceptions.HTTPError as error:
                cause = getattr(error, "reason", None) or error
                raise StoreUnavailableError(
                    f"cannot fetch {shown(uri)}: {_cause(cause)}. Check the address and the network."
                ) from None
            else:
                return said
    raise StoreUnavailableError(
        f"cannot fetch {shown(uri)} whole in {_ATTEMPTS} attempts: {reason}. Try again later."
    )


def _http(uri: str, **options: Any) -> "PoolManager":
    """Return a client that goes through the proxy that the environment names, if any."""
    from urllib.request import getproxies, proxy_bypass

    import urllib3

    parts = urlsplit(uri)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)


def _check_answer(uri: str, answer: Any, limit_bytes: int) -> None:
    if answer.status in _HTTP_GONE:
        raise NotFoundError(
            f"cannot fetch {shown(uri)}: the server says {answer.status}, no such file."
        )
    if answer.status in _HTTP_LATER:
        raise StoreUnavailableError(
            f"cannot fetch {shown(uri)}: the server says {answer.status}, after {_ATTEMPTS} retries. Try again later."
        )
    if answer.status != _HTTP_OK:
        raise StoreError(
            f"cannot fetch {shown(uri)}: the server says {answer.status} {answer.reason or ''}".rstrip()
            + "."
        )
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > limit_bytes:
        raise _too_large(uri, limit_bytes)


def _receive(uri: str, answer: Any, file: IO[bytes], limit_bytes: int) -> None:
    size = 0
    for piece in answer.stream(_PIECE_BYTES, decode_content=False):
        size += len(piece)
        if size > limit_bytes:
            raise _too_large(uri, limit_bytes)
        file.write(piece)
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and size != int(length):
        raise _BrokenOffError(f"{size} of {length} bytes came")


def _too_large(uri: str, limit_bytes: int) -> StoreError:
    return StoreError(
        f"cannot fetch {shown(uri)}: it is larger than {limit_bytes} bytes. Raise SCYTHE_FETCH_MAX_SIZE to allow it."
    )


def _cause(error: Any) -> str:
    """Return why a connection failed, without the URL that urllib3 puts into its messages."""
    inner = error.__cause__ or error.__context__
    return f"{type(error).__name__}" + (f" ({inner})" if isinstance(inner, OSError) else "")
