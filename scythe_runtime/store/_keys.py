"""What a key may look like, and where a store keeps what is its own."""

from typing import Final

from scythe_runtime.errors import StoreError

OWN_FOLDER: Final = ".scythe"
"""First segment of the keys that belong to the store itself; listings leave them out."""

_LONGEST_BYTES: Final = 1024  # of S3


def checked_key(key: str) -> str:
    """Return the key, which every store can hold and which stays below the root.

    Raises:
        StoreError: It is absolute, empty, too long, not text, or has an empty, "." or ".." segment.
    """
    problem = _problem(key)
    if problem:
        raise StoreError(
            f"the key {key!r} {problem}. Rename the file or experiment that it is made from."
        )
    return key


def is_own(key: str) -> bool:
    """Return whether a key belongs to the store itself."""
    return key == OWN_FOLDER or key.startswith(f"{OWN_FOLDER}/")


def _problem(key: str) -> str | None:
    if "\0" in key:
        return "contains a NUL character"
    segments = key.split("/")
    if "" in segments:
        return "is empty, begins or ends with '/', or contains '//'"
    if "." in segments or ".." in segments:
        return "has '.' or '..' as a part, which could lead out of the store"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "contains characters that are not valid text (a file name in another encoding?)"
    return f"is longer than {_LONGEST_BYTES} bytes" if size > _LONGEST_BYTES else None
