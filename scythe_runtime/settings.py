"""What the environment decides: store, engine, slots, timeouts. Read when asked for, never at import."""

import os
import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
)

from scythe_runtime.errors import SettingsError

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_ONE_LESS_FROM_CORES = 8


def parse_duration(value: object) -> object:
    """Return "45" (seconds) and "1h30m" as a timedelta, "" and "none" as None, all else unchanged."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if text in {"", "none"}:
        return None
    if _NUMBER.fullmatch(text):
        return timedelta(seconds=float(text))
    if not _DURATION.fullmatch(text):
        return value.strip()
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION_PART.findall(text))
    return timedelta(seconds=seconds)


def _positive(value: timedelta | None) -> timedelta | None:
    if value is not None and value <= timedelta(0):
        raise ValueError("must be longer than zero")
    return value


Duration = Annotated[timedelta | None, BeforeValidator(parse_duration), AfterValidator(_positive)]
"""A length of time, or None for no limit: seconds, "10m", "1h30m", ISO 8601 ("PT10M") or "00:10:00"."""


def default_slots() -> int:
    """Return the number of cores that this process may use, one less from 8 on."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return cores - 1 if cores >= _ONE_LESS_FROM_CORES else cores


class EnvironmentSettings(BaseModel):
    """Settings that are read from environment variables when an instance is made.

    A subclass names its prefix in `env_prefix`. (Not as an argument of the class: pydantic takes that one for
    itself once somebody has imported pydantic-settings, as Hatchet's SDK does.) Own code and not
    pydantic-settings, whose import takes 0.1 s of a run that takes half a second in all.

    Raises:
        SettingsError: On making an instance: variables that cannot be used, all of them in one message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    env_prefix: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        prefix = self.env_prefix
        found = {
            name: os.environ[prefix + name]
            for name in type(self).model_fields
            if os.environ.get(prefix + name, "") != ""  # an empty variable is an unset one
        }
        try:
            super().__init__(**(found | values))
        except ValidationError as error:
            problems = (
                f"{prefix}{'.'.join(map(str, p['loc']))}={p['input']!r}: {p['msg']}"
                for p in error.errors()
            )
            raise SettingsError("; ".join(problems)) from None


class ScytheStorageSettings(EnvironmentSettings):
    """Where run directories live.

    Attributes:
        BUCKET: The S3 bucket; without one, run directories go to a local folder.
        BUCKET_PREFIX: What the keys in the bucket begin with.
        ROOT: The local folder, relative to the root of the experiment's repository.
    """

    env_prefix: ClassVar[str] = "SCYTHE_STORAGE_"

    BUCKET: str | None = Field(default=None, min_length=1)
    BUCKET_PREFIX: str = "scythe"
    ROOT: Path = Path("runs")

    @property
    def folder(self) -> Path:
        """The local folder, absolute."""
        return repo_root() / self.ROOT.expanduser()


class TimeoutSettings(EnvironmentSettings):
    """How long to wait for a start and for an end, each; None leaves it to the engine.

    Attributes:
        SCATTER_GATHER_SCHEDULE: A scatter/gather node, until it starts.
        SCATTER_GATHER_EXECUTION: A scatter/gather node, until it ends.
        EXPERIMENT_SCHEDULE: A spec, until it starts.
        EXPERIMENT_EXECUTION: A spec, until it ends. By default no limit locally, 24 h on Hatchet.
    """

    env_prefix: ClassVar[str] = "SCYTHE_TIMEOUT_"

    SCATTER_GATHER_SCHEDULE: Duration = None
    SCATTER_GATHER_EXECUTION: Duration = None
    EXPERIMENT_SCHEDULE: Duration = None
    EXPERIMENT_EXECUTION: Duration = None


class EngineSettings(EnvironmentSettings):
    """What runs batches.

    Attributes:
        ENGINE: `local` or `hatchet`.
        SLOTS: Slot processes of this machine; by default one a core, one less from 8 cores on.
    """

    env_prefix: ClassVar[str] = "SCYTHE_"

    ENGINE: Literal["local", "hatchet"] = "local"
    SLOTS: int = Field(default_factory=default_slots, ge=1)


class FetchSettings(EnvironmentSettings):
    """How remote files are fetched.

    Attributes:
        TIMEOUT: How long to wait for a connection or for the next piece of a file.
        MAX_SIZE: The largest file that is taken, for instance "2GiB".
    """

    env_prefix: ClassVar[str] = "SCYTHE_FETCH_"

    TIMEOUT: Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_positive)] = (
        timedelta(seconds=60)
    )
    MAX_SIZE: ByteSize = ByteSize(64 * 1024**3)


def repo_root(start: Path | None = None) -> Path:
    """Return the root of the experiment's repository: the nearest folder upwards with [tool.scythe].

    Args:
        start: Where to begin; the working directory by default.

    Returns:
        An absolute path; `start` itself where no pyproject.toml with [tool.scythe] is found.
    """
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if _tool_scythe(folder) is not None:
            return folder
    return start


def experiment_modules(root: Path) -> list[str]:
    """Return the modules that register experiments: `experiments` under [tool.scythe].

    Args:
        root: The root of the experiment's repository.

    Returns:
        Names of modules; none where pyproject.toml does not say.

    Raises:
        SettingsError: pyproject.toml cannot be read, or the value is no list of names.
    """
    modules = (_tool_scythe(root) or {}).get("experiments", [])
    if not isinstance(modules, list) or not all(isinstance(name, str) for name in modules):
        raise SettingsError(
            f'{root / "pyproject.toml"}: experiments under [tool.scythe] must be a list of modules, such as ["my_package.task"].'
        )
    return modules


def _tool_scythe(folder: Path) -> dict[str, Any] | None:
    """Return the [tool.scythe] table of a folder's pyproject.toml, or None without one."""
    path = folder / "pyproject.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    if "scythe" not in text:  # parsing takes longer than this look
        return None
    try:
        table = tomllib.loads(text).get("tool", {}).get("scythe")
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from None
    return table if isinstance(table, dict) else None


def __getattr__(name: str) -> Any:
    """Return settings that older code imports by name, read from the environment now."""
    if name == "timeout_settings":
        return TimeoutSettings()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
