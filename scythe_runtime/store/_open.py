"""From a URI or from settings to a store."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from scythe_runtime.errors import SettingsError, StoreError
from scythe_runtime.store._folder import FolderStore
from scythe_runtime.store._keys import OWN_FOLDER
from scythe_runtime.store._protocol import Store

if TYPE_CHECKING:
    from scythe_runtime.settings import ScytheStorageSettings


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
        StoreError: With one clear message: what is wrong with the store, and how to put it right.
    """
    key, data = f"{OWN_FOLDER}/check", uuid.uuid4().bytes
    next(iter(store.list(f"{OWN_FOLDER}/")), None)
    store.put(key, data)
    if len(store.get(key)) != len(data):
        raise StoreError(
            f"{store.uri(key)} reads back different from what was written. Check what SCYTHE_STORAGE_ROOT or "
            "AWS_ENDPOINT_URL names."
        )
