"""Files from elsewhere: to a place, or to a cache that all runs of this machine share."""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

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
_HTTP_GONE: Final = frozenset({404, 410})
_HTTP_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


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
        if use_cache and local_path.exists():  # somebody else has just fetched it
            return local_path
        local_path.parent.mkdir(parents=True, exist_ok=True)
        temporary = local_path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            _bring(source, temporary, s3)
            temporary.replace(local_path)
        finally:
            temporary.unlink(missing_ok=True)
    return local_path


def local_file(
    uri: "AnyUrl | HttpUrl | Path | str", *, use_cache: bool = True, s3: "S3Client | None" = None
) -> Path:
    """Return a file to read: a path or file:// as it is, all else from the cache, fetched if need be.

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
    return fetch_uri(source, cache_path(str(source)), use_cache, s3)


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


def _bring(source: Any, temporary: Path, s3: "S3Client | None") -> None:
    """Write the source into a new file and flush it to the disk."""
    if isinstance(source, FileUrl):
        source = source.to_path()
    if isinstance(source, Path):
        try:
            shutil.copyfile(source, temporary)
        except FileNotFoundError:
            raise NotFoundError(f"{source} does not exist.") from None
        except OSError as error:
            raise StoreError(f"cannot read {source}: {error.strerror}.") from None
    elif isinstance(source, S3Url):
        _bring_s3(source, temporary, s3)
    else:
        _bring_http(str(source), temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())


def _bring_s3(url: S3Url, temporary: Path, s3: "S3Client | None") -> None:
    from scythe_runtime.settings import FetchSettings
    from scythe_runtime.store._s3 import S3Store

    limit_bytes = FetchSettings().MAX_SIZE
    with temporary.open("xb") as file:
        S3Store(url.bucket, client=s3).download(url.key, file, limit_bytes=limit_bytes)


def _bring_http(uri: str, temporary: Path) -> None:
    import urllib3

    from scythe_runtime.settings import FetchSettings

    settings = FetchSettings()
    seconds = settings.TIMEOUT.total_seconds()
    retries = urllib3.Retry(
        total=_ATTEMPTS,
        backoff_factor=0.1,
        backoff_max=10,
        status_forcelist=_HTTP_LATER,
        raise_on_status=False,
        respect_retry_after_header=False,  # it may say an hour
    )
    # identity: what arrives is what is stored, so that its length can be checked
    headers = {"Accept-Encoding": "identity"}
    address = urllib3.util.parse_url(uri)
    if address.auth:
        headers |= urllib3.make_headers(basic_auth=unquote(address.auth))
    reason = ""
    with _http(uri, timeout=urllib3.Timeout(seconds), retries=retries) as http:
        for _ in range(_ATTEMPTS):
            try:
                answer = http.request(
                    "GET", address._replace(auth=None).url, preload_content=False, headers=headers
                )
                try:
                    _check_answer(uri, answer, settings.MAX_SIZE)
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
                return
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
