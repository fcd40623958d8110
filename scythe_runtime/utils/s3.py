"""S3 under the names of scythe-engine: the client of this process, made when first asked for."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from scythe_runtime.files import S3Url
from scythe_runtime.manifest import InputArtifactLocations

_THREADS: Final = 8


@cache
def _client() -> Any:
    from scythe_runtime.store._s3 import make_client

    return make_client()


def __getattr__(name: str) -> Any:
    """Return `s3_client`, a boto3 client that the environment configures."""
    if name == "s3_client":
        return _client()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def upload_input_artifacts(
    input_artifacts: Mapping[str, set[Path]],
    s3_client: Any,
    bucket: str,
    construct_artifact_key: Callable[[Path, str], str],
) -> tuple[InputArtifactLocations, dict[str, dict[Path, S3Url]]]:
    """Put input files into a bucket and return where they are: by field, and by field and path.

    `allocate` does this by itself, once for each content.

    Args:
        input_artifacts: Files by field.
        s3_client: A client of boto3.
        bucket: The bucket.
        construct_artifact_key: From a path and its field to the key.
    """
    uris: dict[str, dict[Path, S3Url]] = {field: {} for field in input_artifacts}

    def put(item: tuple[str, Path]) -> None:
        field, path = item
        key = construct_artifact_key(path, field)
        s3_client.upload_file(Bucket=bucket, Key=key, Filename=path.as_posix())
        uris[field][path] = S3Url(f"s3://{bucket}/{quote(key)}")

    items = [(field, path) for field, paths in input_artifacts.items() for path in paths]
    with ThreadPoolExecutor(_THREADS, "upload") as pool:
        list(pool.map(put, items))
    return InputArtifactLocations(files={f: set(found.values()) for f, found in uris.items()}), uris
