"""The experiment repository that a command line works in: [tool.scythe] of its pyproject.toml."""

import importlib
import sys
import tomllib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from scythe_runtime.errors import UsageError
from scythe_runtime.registry import Experiment, ExperimentRegistry
from scythe_runtime.settings import experiment_modules, repo_root

_NOT_THE_USERS: Final = (
    "<frozen",
    str(Path(__file__).parent),
    str(Path(importlib.__file__).parent),
)


@dataclass(frozen=True, slots=True)
class Project:
    """An experiment repository.

    Attributes:
        root: Its folder.
        name: Its experiment's folder in the store.
        experiment: The registered function.
        sample: The sampler, `sample(n, seed)`.
    """

    root: Path
    name: str
    experiment: Experiment[Any, Any]
    sample: Callable[[int | None, int | None], Any]


def open_project(start: Path | None = None) -> Project:
    """Return the repository around a folder, its modules imported.

    Raises:
        UsageError: There is none, it does not say which experiment it holds, or its modules do not load.
    """
    root = repo_root(start)
    modules = experiment_modules(root)
    if not modules:
        message = (
            f"{root} is not an experiment repository: no pyproject.toml with [tool.scythe] here or above. "
            "Go into one, or make one: scythe-gen new my-experiment --example room"
        )
        raise UsageError(message)
    import_modules(root)
    experiments = [
        e for e in ExperimentRegistry.experiments() if any(e.fn.__module__ == m for m in modules)
    ]
    if len(experiments) != 1:
        names = ", ".join(e.name for e in experiments) or "none"
        message = f"{', '.join(modules)} must register one experiment; registered: {names}"
        raise UsageError(message)
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    package = modules[0].partition(".")[0]
    sampler = _import(f"{package}.sampler")
    name = str(table["tool"]["scythe"].get("name", package))
    return Project(root, name, experiments[0], sampler.sample)


def import_modules(start: Path | None = None) -> None:
    """Import the modules of the repository around a folder; outside of one there are none.

    Raises:
        UsageError: One does not load.
    """
    root = repo_root(start)
    modules = experiment_modules(root)
    if modules and str(root) not in sys.path:
        sys.path.insert(0, str(root))
    for module in modules:
        _import(module)


def _import(module: str) -> ModuleType:
    """Return a module of the user's; what keeps it from loading is shown without our own frames."""
    try:
        return importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - the user's module may raise anything
        shown = traceback.TracebackException.from_exception(error)
        own = [f for f in shown.stack if not f.filename.startswith(_NOT_THE_USERS)]
        shown.stack = traceback.StackSummary.from_list(own)
        message = f"{module} cannot be imported:\n{''.join(shown.format()).rstrip()}"
        raise UsageError(message) from None
