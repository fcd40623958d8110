"""File references and fetching, under the names of scythe-engine."""

from scythe_runtime.fetching import fetch_uri
from scythe_runtime.files import (
    FileReference,
    FileReferenceMixin,
    FileUrl,
    OptionalFileReference,
    S3Url,
)

__all__ = [
    "FileReference",
    "FileReferenceMixin",
    "FileUrl",
    "OptionalFileReference",
    "S3Url",
    "fetch_uri",
]
