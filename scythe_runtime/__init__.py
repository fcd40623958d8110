"""The runtime that a generated experiment repository imports.

Names are imported when they are asked for: a slot process pays for what it uses.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scythe_runtime.base import ExperimentInputSpec as ExperimentInputSpec
    from scythe_runtime.base import ExperimentOutputSpec as ExperimentOutputSpec
    from scythe_runtime.errors import TaskNotWritten as TaskNotWritten
    from scythe_runtime.experiments import BaseExperiment as BaseExperiment
    from scythe_runtime.files import FileReference as FileReference
    from scythe_runtime.files import OptionalFileReference as OptionalFileReference
    from scythe_runtime.registry import ExperimentRegistry as ExperimentRegistry
    from scythe_runtime.runs import open_run as open_run
    from scythe_runtime.scatter_gather import RecursionMap as RecursionMap
    from scythe_runtime.versions import SemVer as SemVer

_HOMES = {
    "BaseExperiment": "experiments",
    "ExperimentInputSpec": "base",
    "ExperimentOutputSpec": "base",
    "ExperimentRegistry": "registry",
    "FileReference": "files",
    "OptionalFileReference": "files",
    "RecursionMap": "scatter_gather",
    "SemVer": "versions",
    "TaskNotWritten": "errors",
    "open_run": "runs",
}

__all__ = [
    "BaseExperiment",
    "ExperimentInputSpec",
    "ExperimentOutputSpec",
    "ExperimentRegistry",
    "FileReference",
    "OptionalFileReference",
    "RecursionMap",
    "SemVer",
    "TaskNotWritten",
    "open_run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
