"""Input files: found and checked once each, then put into the run's folder once each."""

import hashlib
import os
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scythe_runtime.errors import SpecError, StoreError
from scythe_runtime.files import FileUrl, is_uri, parse_file
from scythe_runtime.layout import RunLayout
from scythe_runtime.store import Store

_THREADS: Final = 8
_NAMED_AT_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class FoundArtifacts:
    """The distinct input files of a run, all of which can be read.

    Attributes:
        sources: By field and then by the value in the specs: the local file to put into the run, or
            None for a URL that stays as it is.
    """

    sources: dict[str, dict[str, Path | None]]


@dataclass(frozen=True, slots=True)
class PlacedArtifacts:
    """Where the input files of a run are.

    Attributes:
        uris: By field and then by the value in the specs: the URI that takes its place.
        locations: By field: all its URIs, sorted. The content of input_artifacts.yml.
        uploaded_bytes: What was put into the store.
    """

    uris: dict[str, dict[str, str]]
    locations: dict[str, list[str]]
    uploaded_bytes: int


def find_artifacts(
    columns: Mapping[str, Iterable[str | None]], *, root: Path, copy_remote: bool = False
) -> FoundArtifacts:
    """Return the distinct files that the specs name; nothing is written to the run's store.

    Args:
        columns: By field: a path or URI a spec. Arrow arrays are fine.
        root: What relative paths are relative to.
        copy_remote: Bring http(s) and s3 files to the cache, to be copied into the run.

    Raises:
        SpecError: Files are missing or cannot be read; the message names them.
    """
    sources: dict[str, dict[str, Path | None]] = {}
    problems: list[tuple[str, str, str]] = []
    for field, column in columns.items():
        found = sources[field] = {}
        for value in _distinct(column):
            try:
                found[value] = _source(value, root, copy_remote=copy_remote)
            except (OSError, ValueError) as error:
                problems.append((field, value, str(error)))
    if problems:
        raise SpecError(_describe(problems, columns))
    return FoundArtifacts(sources)


def place(
    found: FoundArtifacts,
    *,
    store: Store,
    layout: RunLayout,
    progress: Callable[[int, int], None] | None = None,
) -> PlacedArtifacts:
    """Return where the files are, having put each content into the run once a field.

    Files of one name and different contents are kept apart by a short hash of the content in the
    name of all but the first, in the order of their paths.

    Args:
        found: What `find_artifacts` found.
        store: Where the run lives.
        layout: The run's keys.
        progress: Called with the number of files that are done and the number of all.

    Raises:
        SpecError: A file has gone since it was found.
        StoreError: The store failed.
    """
    keys: dict[tuple[str, Path], str] = {}
    puts: dict[str, Path] = {}
    for field, sources in found.sources.items():
        named = _names({path for path in sources.values() if path is not None})
        for path, name in named.items():
            keys[field, path] = key = layout.artifact(field, name)
            puts.setdefault(key, path)
    uploaded = _put_all(store, puts, progress)
    uris = {
        field: {
            value: value if path is None else store.uri(keys[field, path])
            for value, path in sources.items()
        }
        for field, sources in found.sources.items()
    }
    locations = {field: sorted(set(of_field.values())) for field, of_field in uris.items()}
    return PlacedArtifacts(uris, locations, uploaded)


def place_artifacts(
    columns: Mapping[str, Iterable[str | None]],
    *,
    store: Store,
    layout: RunLayout,
    root: Path,
    copy_remote: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PlacedArtifacts:
    """Return where the specs' files are: `find_artifacts`, then `place`."""
    found = find_artifacts(columns, root=root, copy_remote=copy_remote)
    return place(found, store=store, layout=layout, progress=progress)


def _distinct(column: Any) -> list[str]:
    """Return a column's distinct values in the order of their first rows, without None."""
    if hasattr(column, "unique"):  # an arrow array: a million rows in milliseconds
        column = column.unique().to_pylist()
    return [str(value) for value in dict.fromkeys(column) if value is not None]


def _source(value: str, root: Path, *, copy_remote: bool) -> Path | None:
    """Return the local file behind a value, or None for a URL that stays.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: The URL is wrong.
    """
    if not is_uri(value):
        return _readable(root / Path(value).expanduser())
    url = parse_file(value)
    if isinstance(url, FileUrl):
        path = _readable(url.to_path())
        return path if copy_remote else None
    if copy_remote:
        from scythe_runtime.fetching import local_file

        return local_file(
            url, use_cache=False
        )  # what is there today, not what an earlier run found
    return None


def _readable(path: Path) -> Path:
    """Return the path with links and ".." resolved.

    Raises:
        OSError: It is no file, or cannot be read; the message is the bare reason.
    """
    path = path.resolve()
    if path.is_dir():
        raise OSError("is a folder, not a file")
    if not path.exists():
        raise OSError(f"does not exist (looked for {path})")
    if not path.is_file():
        raise OSError("is not a regular file")
    if not os.access(path, os.R_OK):
        raise OSError("cannot be read: no permission")
    return path


def _describe(
    problems: Sequence[tuple[str, str, str]], columns: Mapping[str, Iterable[str | None]]
) -> str:
    lines = [
        f"  {field}: {value!r} (first in row {_first_row(columns[field], value)}): {reason}"
        for field, value, reason in problems[:_NAMED_AT_MOST]
    ]
    if len(problems) > _NAMED_AT_MOST:
        lines.append(f"  and {len(problems) - _NAMED_AT_MOST} more")
    files = "1 input file" if len(problems) == 1 else f"{len(problems)} input files"
    return "\n".join(
        (
            f"{files} cannot be used; nothing was written. Correct the paths or bring the files:",
            *lines,
        )
    )


def _first_row(column: Any, value: str) -> int:
    values = column.to_pylist() if hasattr(column, "to_pylist") else column
    return next(row for row, item in enumerate(values) if item is not None and str(item) == value)


def _names(paths: Iterable[Path]) -> dict[Path, str]:
    """Return each file's name in the run; files of equal content and name share one."""
    groups: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(paths):
        groups[_folded(path.name)].append(path)
    names: dict[Path, str] = {}
    taken: set[str] = set(groups)
    for group in groups.values():
        by_content: dict[str, str] = {}
        for path in group:
            if len(group) == 1:
                names[path] = path.name
                continue
            digest = _digest(path)
            if digest not in by_content:
                by_content[digest] = (
                    path.name if not by_content else _free_name(path, digest, taken)
                )
            names[path] = by_content[digest]
    return names


def _free_name(path: Path, digest: str, taken: set[str]) -> str:
    for length in range(8, len(digest) + 1):
        name = f"{path.stem}-{digest[:length]}{path.suffix}"
        if _folded(name) not in taken:
            taken.add(_folded(name))
            return name
    raise AssertionError(path)  # pragma: no cover - needs a file named after its own sha256


def _folded(name: str) -> str:
    """Return what a file system that ignores case and composition takes a name for."""
    return unicodedata.normalize("NFC", name).casefold()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put_all(
    store: Store, puts: Mapping[str, Path], progress: Callable[[int, int], None] | None
) -> int:
    """Return the bytes that were put; the first failure stops what has not begun."""
    lock = threading.Lock()
    done = 0

    def put(item: tuple[str, Path]) -> int:
        nonlocal done
        key, path = item
        try:
            size = path.stat().st_size
            store.put(key, path)
        except StoreError:
            raise
        except OSError as error:
            raise SpecError(
                f"{path} could be read before and cannot now: {error.strerror}."
            ) from None
        with lock:
            done += 1
            if progress:
                progress(done, len(puts))
        return size

    if not puts:
        return 0
    with ThreadPoolExecutor(min(_THREADS, len(puts)), "artifacts") as pool:
        try:
            return sum(pool.map(put, puts.items()))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
