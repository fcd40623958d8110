"""From a URI or from settings to a store."""

import errno
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from scythe_runtime.errors import (
    SettingsError,
    StoreError,
    StoreSettingsError,
    StoreUnavailableError,
)
from scythe_runtime.store._folder import FolderStore
from scythe_runtime.store._keys import OWN_FOLDER
from scythe_runtime.store._protocol import Store

if TYPE_CHECKING:
    from scythe_runtime.settings import ScytheStorageSettings

_WRONG_FOLDER: Final = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR),
        *(errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP),
    }
)
"""What the system says of a folder that was named wrongly, as opposed to a disk that is full or ill."""


def open_store(uri: str) -> Store:
    """Return the store at a URI, as its `root_uri` tells it; nothing is read or written yet.

    Args:
        uri: `file:///folder` or `s3://bucket/prefix`, percent-encoded.

    Raises:
        SettingsError: The URI has another form.
    """
    parts = urlsplit(uri)
    if uri.startswith("file:///"):
        return FolderStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        from scythe_runtime.store._s3 import S3Store

        return S3Store(parts.netloc, unquote(parts.path).strip("/"))
    raise SettingsError(
        f"{uri!r} is not the URI of a store. Write file:///folder or s3://bucket/prefix."
    )


def store_from_settings(settings: "ScytheStorageSettings | None" = None) -> Store:
    """Return the store that the environment names: S3 where there is a bucket, else a local folder.

    This is how a person opens it: an endpoint that does not answer at all is told within ten seconds.

    Raises:
        SettingsError: A setting has a value that cannot be used.
    """
    from scythe_runtime.settings import ScytheStorageSettings

    settings = settings or ScytheStorageSettings()
    if settings.BUCKET is None:
        return FolderStore(settings.folder)
    from scythe_runtime.store._s3 import S3Store

    return S3Store(settings.BUCKET, settings.BUCKET_PREFIX, hasty=True)


def check(store: Store) -> None:
    """Write, list and read a small hidden object, so that trouble shows before any work starts.

    Raises:
        StoreSettingsError: What is named as the store cannot be used: one message says why, and how to put it right.
        StoreError: It could be, but not now: the disk is full, or nobody answers.
    """
    key, data = f"{OWN_FOLDER}/check", uuid.uuid4().bytes
    try:
        next(iter(store.list(f"{OWN_FOLDER}/")), None)
        store.put(key, data)
        found = store.get(key)
    except StoreUnavailableError:
        raise
    except StoreError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno not in _WRONG_FOLDER:
            raise
        message = str(error)
        if isinstance(cause, OSError) and "SCYTHE_STORAGE_ROOT" not in message:
            message += " Choose another folder with SCYTHE_STORAGE_ROOT."
        raise StoreSettingsError(message) from cause
    if len(found) != len(data):
        raise StoreSettingsError(
            f"{store.uri(key)} reads back different from what was written. Check what SCYTHE_STORAGE_ROOT or "
            "AWS_ENDPOINT_URL names."
        )
