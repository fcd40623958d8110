"""A store in an S3 bucket, at AWS or any other endpoint. The one home of boto3."""

import builtins
import datetime as dt
import io
import os
import threading
import time
import uuid
from collections.abc import Callable, Container, Iterator
from contextlib import closing
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from scythe_runtime.errors import AlreadyExistsError, StoreError, StoreUnavailableError
from scythe_runtime.store._keys import OWN_FOLDER, checked_key, is_own
from scythe_runtime.store._protocol import StoredObject
from scythe_runtime.store._s3_errors import (
    error_code,
    from_client,
    from_server,
    no_s3,
    without_user,
)

if TYPE_CHECKING:
    from botocore.loaders import Loader
    from mypy_boto3_s3.client import S3Client

_T = TypeVar("_T")

_MULTIPART_FROM_BYTES: Final = 64 * 1024**2
_ATTEMPTS: Final = 6
_FIRST_ATTEMPTS: Final = 2
_PIECE_BYTES: Final = 1024**2
_TAKEN: Final = frozenset({"PreconditionFailed", "412"})
_CONFLICT: Final = frozenset({"ConditionalRequestConflict", "OperationAborted", "409"})
_UNKNOWN: Final = frozenset({"NotImplemented", "501"})


def make_client() -> "S3Client":
    """Return an S3 client with bounded retries and timeouts, configured by the environment.

    boto3 itself reads AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_PROFILE, the keys and the region.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    config = Config(
        connect_timeout=4,
        read_timeout=30,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        max_pool_connections=32,
        # some servers refuse the checksums that boto3 adds since 1.36; lengths are checked anyway
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    return boto3.session.Session(botocore_session=session).client("s3", config=config)


@cache
def _loader() -> "Loader":
    """Return what reads the description of S3, once a process: it takes most of a client's 0.1 s."""
    import botocore.session

    loader: Loader = botocore.session.Session().get_component("data_loader")
    return loader


def give_up_early(client: "S3Client") -> None:
    """Let a client try an endpoint twice, not six times, until it has answered once.

    A server that never answered is more likely a wrong address than one that will be back. One that
    takes the request and keeps silent is asked only once: that is half a minute already.
    """
    from botocore.exceptions import ReadTimeoutError

    answered = False

    def judge(
        response: object, caught_exception: Exception | None, attempts: int, **_: object
    ) -> None:
        nonlocal answered
        answered = answered or response is not None
        if answered or caught_exception is None:
            return
        if attempts >= _FIRST_ATTEMPTS or isinstance(caught_exception, ReadTimeoutError):
            raise caught_exception

    client.meta.events.register_first("needs-retry.s3", judge)


class S3Store:
    """Objects in a bucket, below a prefix.

    Threads share one client; a forked process makes its own. A request is tried up to six times with
    growing pauses (about fifteen seconds in all).

    Args:
        bucket: The bucket, which exists already.
        prefix: What the keys in the bucket begin with; may be empty.
        client: A client to use instead of one made from the environment.
        hasty: Give up early where the endpoint has never answered; see `give_up_early`.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        client: "S3Client | None" = None,
        hasty: bool = False,
    ) -> None:
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        self._given = client
        self._hasty = hasty
        self._made: tuple[int, S3Client] | None = None
        self._making = threading.Lock()
        self._honours: bool | None = None

    def __repr__(self) -> str:
        return f"S3Store({self.bucket!r}, {self.prefix!r})"

    @property
    def client(self) -> "S3Client":
        """The boto3 client of this process."""
        if self._given is not None:
            return self._given
        with self._making:
            if self._made is None or self._made[0] != os.getpid():
                self._made = os.getpid(), self._open()
            return self._made[1]

    @property
    def root_uri(self) -> str:
        """`s3://bucket/prefix`, percent-encoded."""
        return f"s3://{self.bucket}/{quote(self.prefix)}".rstrip("/")

    def put(self, key: str, data: bytes | Path, *, create: bool = False) -> None:
        """Store an object, atomically.

        A create put whose answer was lost and that is then refused, because it had been done, counts as
        done if the object has these very bytes. So let claims have content of their own.
        """
        name = self._name(key)
        condition: dict[str, Any] = {}
        if create and self.honours_create():
            condition = {"IfNoneMatch": "*"}
        elif create and self._exists(key):
            raise self._taken(key)
        with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as body:
            if not create and _size(body) >= _MULTIPART_FROM_BYTES:
                self._ask("write", key, lambda: self.client.upload_fileobj(body, self.bucket, name))
            else:
                self._put(key, body, condition)

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        checked_key(key)
        buffer = io.BytesIO()
        self.download(key, buffer)
        return buffer.getvalue()

    def fetch(self, key: str, to: Path) -> Path:
        """Bring an object to a local file."""
        checked_key(key)
        to.parent.mkdir(parents=True, exist_ok=True)
        temporary = to.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with temporary.open("xb") as file:
                self.download(key, file)
            temporary.replace(to)
        finally:
            temporary.unlink(missing_ok=True)
        return to

    def download(
        self,
        key: str,
        into: IO[bytes],
        *,
        limit_bytes: int | None = None,
        known_etag: str | None = None,
    ) -> str | None:
        """Write an object into an open file, from the start again where the connection breaks.

        Args:
            key: Which object.
            into: An empty file.
            limit_bytes: Refuse a larger object.
            known_etag: Write nothing if the object still has this tag.

        Returns:
            The object's tag, or None if it is the known one.

        Raises:
            NotFoundError: Nothing is stored under that key.
            StoreError: It is larger than the limit.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        name = self._base + key  # not checked: the keys of others may have any form
        condition: dict[str, Any] = {} if known_etag is None else {"IfNoneMatch": known_etag}
        reason = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(min(0.1 * 2**attempt, 5.0))
            into.seek(0)
            into.truncate()
            try:
                answer = self._ask(
                    "read",
                    key,
                    lambda: self.client.get_object(Bucket=self.bucket, Key=name, **condition),
                    expected={"304"},
                )
            except ClientError:
                return None
            try:
                with closing(answer["Body"]) as body:
                    if known_etag is not None and answer.get("ETag") == known_etag:
                        return None  # a server that knows no conditions
                    if limit_bytes is not None and answer["ContentLength"] > limit_bytes:
                        raise StoreError(
                            f"{self._shown(key)} is larger than {limit_bytes} bytes. Raise SCYTHE_FETCH_MAX_SIZE "
                            "to allow it."
                        )
                    for piece in body.iter_chunks(_PIECE_BYTES):
                        into.write(piece)
            except BotoCoreError as error:
                reason = type(error).__name__
                continue
            if into.tell() == answer["ContentLength"]:
                return answer.get("ETag") or ""
            reason = f"{into.tell()} of {answer['ContentLength']} bytes"
        raise StoreUnavailableError(
            f"cannot read {self._shown(key)} whole from {without_user(self.client.meta.endpoint_url)} in "
            f"{_ATTEMPTS} attempts ({reason}). Try again later."
        )

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[StoredObject]:
        """Yield the objects below a prefix, in the order of their keys."""
        base = self._base
        start: dict[str, Any] = {"StartAfter": base + start_after} if start_after else {}
        for page in self._pages(prefix, **start):
            for found in page.get("Contents", ()):
                key = found["Key"][len(base) :]
                if not is_own(key):
                    yield StoredObject(key, found["Size"])

    def children(self, prefix: str) -> builtins.list[str]:
        """Return the names of the folders below `prefix`, sorted."""
        skip = len(self._base) + len(prefix)
        names = (
            found["Prefix"][skip:].rstrip("/")
            for page in self._pages(prefix, Delimiter="/")
            for found in page.get("CommonPrefixes", ())
        )
        return sorted(name for name in names if name and not is_own(prefix + name))

    def local_path(self, key: str) -> None:
        """Return None: the object is not on this machine."""
        checked_key(key)

    def uri(self, key: str) -> str:
        """Return the object's `s3://` URI, percent-encoded."""
        return f"{self.root_uri}/{quote(checked_key(key))}"

    def honours_create(self) -> bool:
        """Return whether the server knows `If-None-Match`; costs one or two small puts, once."""
        if self._honours is None:
            self._honours = self._probe()
        return self._honours

    def server_time(self) -> dt.datetime | None:
        """Return what time it is by the server's clock, to the second; None where it does not say."""

        def head() -> Any:
            return self.client.head_bucket(Bucket=self.bucket)

        answer: Any = self._ask("read", OWN_FOLDER, head)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return parsedate_to_datetime(date) if date else None

    def _probe(self) -> bool:
        from botocore.exceptions import ClientError

        key = f"{OWN_FOLDER}/create-probe"

        def create() -> object:
            return self.client.put_object(
                Bucket=self.bucket, Key=self._name(key), Body=b"", IfNoneMatch="*"
            )

        for _ in range(2):  # the first one may be the first ever, and so be accepted rightly
            try:
                self._ask("write", key, create, expected=_TAKEN | _CONFLICT | _UNKNOWN)
            except ClientError as error:
                return error_code(error) not in _UNKNOWN
        return False

    @property
    def _base(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""

    def _name(self, key: str) -> str:
        """Return the object's key in the bucket."""
        return self._base + checked_key(key)

    def _shown(self, key: str) -> str:
        return f"{self.root_uri}/{quote(key)}".rstrip("/")

    def _open(self) -> "S3Client":
        from botocore.exceptions import BotoCoreError

        try:
            client = make_client()
        except (BotoCoreError, ValueError) as error:  # a ValueError is a malformed endpoint
            raise from_client(error, f"open s3://{self.bucket}", endpoint="") from None
        if self._hasty:
            give_up_early(client)
        return client

    def _ask(
        self, verb: str, key: str, request: Callable[[], _T], *, expected: Container[str] = ()
    ) -> _T:
        """Return the answer to a request; refusals that are expected are raised as they come."""
        from botocore.exceptions import BotoCoreError, ClientError

        what = f"{verb} {self._shown(key)}"
        client = self.client
        try:
            return request()
        except ClientError as error:
            if error_code(error) in expected:
                raise
            raise from_server(
                error, what, bucket=self.bucket, endpoint=client.meta.endpoint_url
            ) from None
        except BotoCoreError as error:
            raise from_client(error, what, endpoint=client.meta.endpoint_url) from None
        except (
            RecursionError
        ):  # botocore looks for the bucket's region, by a request that is redirected
            raise no_s3("redirects without end", what, endpoint=client.meta.endpoint_url) from None

    def _put(self, key: str, body: IO[bytes], condition: dict[str, Any]) -> None:
        from botocore.exceptions import ClientError

        def send() -> object:
            body.seek(0)
            return self.client.put_object(
                Bucket=self.bucket, Key=self._name(key), Body=body, **condition
            )

        for attempt in range(_ATTEMPTS):
            try:
                self._ask("write", key, send, expected=(_TAKEN | _CONFLICT) if condition else ())
            except ClientError as error:
                if error_code(error) in _TAKEN:
                    if error.response["ResponseMetadata"].get("RetryAttempts") and self._holds(
                        key, body
                    ):
                        return
                    raise self._taken(key) from None
                time.sleep(0.05 * 2**attempt)  # another create put of this key is under way
            else:
                return
        raise StoreUnavailableError(
            f"cannot write {self.uri(key)}: others write it all the time. Try again later."
        )

    def _holds(self, key: str, body: IO[bytes]) -> bool:
        body.seek(0)
        return self.get(key) == body.read()

    def _exists(self, key: str) -> bool:
        from botocore.exceptions import ClientError

        def head() -> object:
            return self.client.head_object(Bucket=self.bucket, Key=self._name(key))

        try:
            self._ask("read", key, head, expected={"404", "NoSuchKey"})
        except ClientError:
            return False
        return True

    def _taken(self, key: str) -> AlreadyExistsError:
        return AlreadyExistsError(f"{self.uri(key)} exists already.")

    def _pages(self, prefix: str, **options: Any) -> Iterator[Any]:
        if "/" in prefix:
            checked_key(prefix.rpartition("/")[0])
        paginator = self.client.get_paginator("list_objects_v2")
        pages = iter(paginator.paginate(Bucket=self.bucket, Prefix=self._base + prefix, **options))
        end = object()
        while (page := self._ask("list", "", lambda: next(pages, end))) is not end:
            yield page


def _size(file: IO[bytes]) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size
