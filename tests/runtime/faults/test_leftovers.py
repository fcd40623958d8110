"""What killed processes leave in the temporary folder is removed, and nothing else."""

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from fault_field import Field
from test_stops import BATCH, MIDDLE, stop

from scythe_runtime import open_run
from scythe_runtime.engine._logs import LogFolder, remove_leftovers


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a temporary folder of the test's own, for its processes too."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def _logs(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("scythe-logs-*")}


def test_logs_of_a_killed_process_are_removed_when_the_next_run_starts(
    field: Field, temporary: Path
) -> None:
    """The folder of a driver that met kill -9 goes; that of a run which is going stays to its end."""
    (field.folder / "other").mkdir()
    other = Field(field.folder / "other")
    living = other.start_elsewhere({MIDDLE: "wait-once"}, batch_size=BATCH)
    other.middle()
    (its,) = _logs(temporary)
    run_of_other = open_run("field")
    killed = field.start_elsewhere({MIDDLE: "wait-once"}, batch_size=BATCH)
    stop(field, killed, signal.SIGKILL)
    assert len(_logs(temporary)) == 2
    run = open_run("field")
    assert run.experiment_id != run_of_other.experiment_id
    assert run.resume().result().state == "complete"
    assert _logs(temporary) == {its}
    other.go_on()
    _, said = living.communicate(timeout=60)
    assert living.returncode == 0, said
    other.assert_whole(run_of_other)
    assert _logs(temporary) == set()


def test_what_is_no_leftover_stays(temporary: Path) -> None:
    """A folder in use, one that a message names, one of unknown make, a link: all stay; the second for a day."""
    used, named = LogFolder.make(), LogFolder.make()
    named.keep()
    (temporary / "scythe-logs-unknown").mkdir()
    (temporary / "elsewhere").mkdir()
    (temporary / "elsewhere" / "owner").write_text("1")
    (temporary / "scythe-logs-link").symlink_to(temporary / "elsewhere")
    before = _logs(temporary)
    remove_leftovers()
    assert _logs(temporary) == before
    assert (temporary / "elsewhere" / "owner").exists()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(named.path / "owner", (two_days_ago, two_days_ago))
    os.utime(used.path / "owner", (two_days_ago, two_days_ago))
    remove_leftovers()
    assert _logs(temporary) == before - {named.path.name}
    used.remove()
    assert _logs(temporary) == before - {named.path.name, used.path.name}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_a_leftover_of_another_user_stays(temporary: Path) -> None:
    """Even root's runs remove root's folders only."""
    left = LogFolder.make()
    left.keep()
    (left.path / "owner").write_text("1")
    os.chown(left.path, 12345, 12345)
    remove_leftovers()
    assert left.path.exists()
    os.chown(left.path, 0, 0)
    remove_leftovers()
    assert not left.path.exists()
