"""Fixtures of the fault tests: a field, a small disk, a little memory, an S3 server."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_field import Disk, Field, until

sys.path.insert(0, str(Path(__file__).parents[1]))

from store.conftest import aws, bucket, proxy, s3_endpoint  # noqa: F401 - the same S3 server


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Field:
    """Return a field in an empty folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCYTHE_SLOTS", "2")
    monkeypatch.setenv("SCYTHE_CACHE_DIR", str(tmp_path / "cache"))
    return Field(tmp_path)


@pytest.fixture
def no_locks(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the field's cache be where no lock can be had, as on a read-only disk."""
    (field.folder / "no folder").touch()
    monkeypatch.setenv("SCYTHE_CACHE_DIR", str(field.folder / "no folder" / "cache"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    """Return a file system of 8 MB, or skip where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = Disk(folder)
    why = disk.mount()
    if why is not None:
        pytest.skip(f"no tmpfs can be mounted here: {why}")
    yield disk
    disk.unmount()


@pytest.fixture
def memory_group(tmp_path: Path) -> Iterator[Path]:
    """Return a control group of 200 MB of memory, or skip where none can be made."""
    root = Path("/sys/fs/cgroup")
    first = root / "memory" if (root / "memory").is_dir() else root
    limit = "memory.limit_in_bytes" if (root / "memory").is_dir() else "memory.max"
    group = first / f"scythe-test-{tmp_path.name}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        try:
            (group / limit).write_text(str(200 * 2**20))
        except OSError as error:
            pytest.skip(f"no control group can be limited here: {error}")
        yield group
    finally:
        until(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()
