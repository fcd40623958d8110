"""Fixtures of the fault tests: a field, a small disk, a little memory, an S3 server."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_field import Field, until

sys.path.insert(0, str(Path(__file__).parents[1]))

from store.conftest import aws, bucket, proxy, s3_endpoint  # noqa: F401 - the same S3 server


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Field:
    """Return a field in an empty folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCYTHE_SLOTS", "2")
    return Field(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 8 MB, or skip where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if sys.platform != "linux" or mount is None:
        pytest.skip("a tmpfs needs Linux and mount")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


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
