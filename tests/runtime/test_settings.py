"""What the environment decides."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from scythe_runtime import settings
from scythe_runtime.errors import SettingsError
from scythe_runtime.settings import (
    EngineSettings,
    FetchSettings,
    ScytheStorageSettings,
    TimeoutSettings,
    default_slots,
    experiment_modules,
    repo_root,
)


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in list(os.environ):
        if name.startswith("SCYTHE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """Return the root of a repository, with the working directory two folders below."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "office"\n[tool.scythe]\nexperiments = ["office.task", "office.other"]\n'
    )
    below = tmp_path / "notebooks" / "deep"
    below.mkdir(parents=True)
    (below.parent / "pyproject.toml").write_text('[project]\nname = "not-scythe"\n')
    monkeypatch.chdir(below)
    return tmp_path


def test_defaults(repo):
    """Without variables: local engine, runs/ in the repository, no limits but the engine's own."""
    storage = ScytheStorageSettings()
    assert (storage.BUCKET, storage.BUCKET_PREFIX, storage.folder) == (
        None,
        "scythe",
        repo / "runs",
    )
    assert EngineSettings().model_dump() == {"ENGINE": "local", "SLOTS": default_slots()}
    assert set(TimeoutSettings().model_dump().values()) == {None}


def test_variables_are_read_when_settings_are_made(monkeypatch, repo, tmp_path):
    """Each instance reads the environment as it is then; an empty variable is an unset one."""
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", "my-bucket")
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET_PREFIX", "team/a")
    monkeypatch.setenv("SCYTHE_STORAGE_ROOT", "../elsewhere")
    monkeypatch.setenv("SCYTHE_ENGINE", "hatchet")
    monkeypatch.setenv("SCYTHE_SLOTS", "7")
    storage = ScytheStorageSettings()
    assert (storage.BUCKET, storage.BUCKET_PREFIX) == ("my-bucket", "team/a")
    assert storage.folder == repo / "../elsewhere"
    assert EngineSettings().model_dump() == {"ENGINE": "hatchet", "SLOTS": 7}
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", "")
    monkeypatch.setenv("SCYTHE_STORAGE_ROOT", str(tmp_path / "absolute"))
    assert ScytheStorageSettings().BUCKET is None
    assert ScytheStorageSettings().folder == tmp_path / "absolute"
    assert EngineSettings(SLOTS=3).SLOTS == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("1h30m", 5400),
        ("90s", 90),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("2d", 172_800),
        ("1H", 3600),
        ("45", 45),
        ("PT10M", 600),
        ("00:10:00", 600),
        ("none", None),
    ],
)
def test_durations(monkeypatch, text, seconds):
    """Durations are seconds, "10m" and the like, ISO 8601 or h:m:s; "none" is no limit."""
    monkeypatch.setenv("SCYTHE_TIMEOUT_EXPERIMENT_EXECUTION", text)
    found = TimeoutSettings().EXPERIMENT_EXECUTION
    assert found == (None if seconds is None else timedelta(seconds=seconds))


def test_all_wrong_values_are_named_at_once(monkeypatch):
    """One message names each variable, its value and what is allowed."""
    monkeypatch.setenv("SCYTHE_ENGINE", "hatchett")
    monkeypatch.setenv("SCYTHE_SLOTS", "0")
    with pytest.raises(SettingsError) as got:
        EngineSettings()
    message = str(got.value)
    assert "SCYTHE_ENGINE='hatchett': Input should be 'local' or 'hatchet'" in message
    assert "SCYTHE_SLOTS='0'" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("text", ["10 minutes", "soon", "-5s", "0", "-1", "1h-5m"])
def test_wrong_durations(monkeypatch, text):
    """What is no duration, or not above zero, is refused with the variable's name."""
    monkeypatch.setenv("SCYTHE_TIMEOUT_EXPERIMENT_SCHEDULE", text)
    with pytest.raises(SettingsError, match="SCYTHE_TIMEOUT_EXPERIMENT_SCHEDULE="):
        TimeoutSettings()


def test_fetch_limits(monkeypatch):
    """Sizes are bytes or have a unit; a timeout has to be there and above zero."""
    monkeypatch.setenv("SCYTHE_FETCH_MAX_SIZE", "2GiB")
    assert FetchSettings().MAX_SIZE == 2 * 1024**3
    for wrong in ("none", "0"):
        monkeypatch.setenv("SCYTHE_FETCH_TIMEOUT", wrong)
        with pytest.raises(SettingsError, match="SCYTHE_FETCH_TIMEOUT"):
            FetchSettings()


def test_timeout_settings_by_name(monkeypatch):
    """The module attribute of scythe-engine exists and follows the environment."""
    monkeypatch.setenv("SCYTHE_TIMEOUT_EXPERIMENT_EXECUTION", "10m")
    before = settings.timeout_settings
    monkeypatch.setenv("SCYTHE_TIMEOUT_EXPERIMENT_EXECUTION", "5m")
    both = (before, settings.timeout_settings)
    assert [s.EXPERIMENT_EXECUTION for s in both] == [timedelta(minutes=10), timedelta(minutes=5)]
    with pytest.raises(AttributeError, match="timeout_setting"):
        _ = settings.timeout_setting


def test_the_repository_is_found_upwards(repo, tmp_path_factory):
    """The nearest pyproject.toml with [tool.scythe] marks the root; without one, it is the start."""
    assert repo_root() == repo
    assert repo_root(repo) == repo
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert repo_root(elsewhere) == elsewhere


def test_experiment_modules(repo, tmp_path_factory):
    """The modules come from [tool.scythe]; without it there are none."""
    assert experiment_modules(repo) == ["office.task", "office.other"]
    assert experiment_modules(tmp_path_factory.mktemp("elsewhere")) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[tool.scythe]\nexperiments = "office.task"\n', "must be a list of modules"),
        ("[tool.scythe]\nexperiments = [1]\n", "must be a list of modules"),
        ("[tool.scythe\n", "is not valid TOML"),
    ],
)
def test_a_wrong_pyproject(repo, text, says):
    """A pyproject.toml that cannot be used is named with its path."""
    (repo / "pyproject.toml").write_text(text)
    with pytest.raises(SettingsError, match=says) as got:
        experiment_modules(repo)
    assert str(repo / "pyproject.toml") in str(got.value)


def test_importing_costs_no_vendor():
    """Settings, files, stores, artifacts and fetching import no boto3, pandas, urllib3 or pyarrow."""
    code = (
        "import sys\n"
        "import scythe_runtime.settings, scythe_runtime.files, scythe_runtime.store\n"
        "import scythe_runtime.artifacts, scythe_runtime.fetching\n"
        "import scythe_runtime.utils.filesys, scythe_runtime.utils.s3\n"
        "print(sorted({'boto3', 'botocore', 'pandas', 'urllib3', 'pyarrow', 'pydantic_settings', 'platformdirs'} & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert ran.stdout.strip() == "[]"


def test_settings_are_read_whatever_was_imported_first() -> None:
    """A module that imports pydantic-settings (Hatchet's SDK does) before the runtime changes nothing."""
    code = (
        "import pydantic_settings; from scythe_runtime.settings import *; "
        "from scythe_runtime.worker import ScytheWorkerConfig; "
        "print(ScytheStorageSettings().BUCKET, EngineSettings().ENGINE, ScytheWorkerConfig().SLOTS)"
    )
    env = {
        **os.environ,
        "SCYTHE_STORAGE_BUCKET": "mine",
        "SCYTHE_ENGINE": "hatchet",
        "SCYTHE_WORKER_SLOTS": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["mine", "hatchet", "3"]
