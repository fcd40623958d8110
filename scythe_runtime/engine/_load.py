"""Finding the task from another process: by module and name, or by running its script again."""

import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from scythe_runtime.batches import TaskRef
from scythe_runtime.errors import ScytheError, SlotStartError, UsageError

MAIN_NAME = "__scythe_main__"
"""The name under which a script runs in a slot, so that its `__main__` guard stays closed."""

_NOT_THEIRS = ("<frozen ", str(Path(__file__).parent), str(Path(importlib.__file__).parent))
_loading = False


class StopLoading(BaseException):
    """Raised by `allocate` in a script that is only being loaded; the user's `except` must not see it."""


def loading_main() -> bool:
    """Return whether this process is loading the task's module or script right now."""
    return _loading


def task_ref(function: Callable[..., Any], *, name: str | None = None) -> TaskRef:
    """Return how another process on this machine finds a registered function.

    Args:
        function: The function as registered.
        name: Its name in the registry; default: the function's own.

    Raises:
        UsageError: It was defined where no other process can find it: a notebook cell, stdin.
    """
    module, main_path = function.__module__, None
    name = name or function.__name__
    if module == "__main__":
        # Its own globals: under a profiler sys.modules["__main__"] is the profiler.
        own = getattr(inspect.unwrap(function), "__globals__", vars(sys.modules["__main__"]))
        spec, file = own.get("__spec__"), own.get("__file__")
        if spec is not None:  # python -m package.module
            module = spec.name
        elif file is not None and Path(file).is_file():
            main_path = str(Path(file).resolve())
        else:
            raise UsageError(
                f"the task {name!r} is defined in a notebook cell or an interactive session, where the "
                "slot processes cannot find it. Move it to a module (for instance task.py) and import "
                "it from there; the rest may stay here."
            )
    sys_path = tuple(dict.fromkeys(str(Path(entry).absolute()) for entry in sys.path))
    return TaskRef(module=module, name=name, main_path=main_path, sys_path=sys_path)


def load_task(task: TaskRef) -> None:
    """Import the task's module, or run its script up to the first `allocate()`.

    Raises:
        SlotStartError: That failed; the message ends with the user's own part of the traceback.
    """
    global _loading  # noqa: PLW0603 - allocate() asks from anywhere
    where = f"module {task.module!r}" if task.main_path is None else f"script {task.main_path}"
    _loading = True
    try:
        if task.main_path is None:
            importlib.import_module(task.module)
        else:
            _run_script(task.main_path)
    except StopLoading:
        pass
    except SystemExit as error:
        raise SlotStartError(
            f"{where} ended with sys.exit({error.code!r}) before the task {task.name!r} could be used. "
            "Put what only the allocating process should do under: if __name__ == '__main__':"
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever the user's module raises
        raise SlotStartError(
            f"the slots cannot load the task {task.name!r}: {where} does not import.\n"
            f"{own_traceback(error)}"
        ) from None
    finally:
        _loading = False


def load_attribute(path: str) -> Callable[..., Any]:
    """Return what stands at "package.module:name".

    Raises:
        SlotStartError: There is nothing.
    """
    module, _, name = path.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001 - whatever a module raises
        raise SlotStartError(f"cannot import {path}.\n{own_traceback(error)}") from None
    return found


def own_traceback(error: BaseException) -> str:
    """Return an error's traceback without the frames of the import system and of the engine."""
    if isinstance(error, ScytheError):
        return f"{type(error).__name__}: {error}"
    whole = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = whole
    while part is not None:
        part.stack = traceback.StackSummary.from_list(
            [frame for frame in part.stack if not frame.filename.startswith(_NOT_THEIRS)]
        )
        part = part.__cause__ or part.__context__
    return "".join(whole.format()).rstrip()


def _run_script(path: str) -> None:
    # Kept in sys.modules, unlike runpy does: pydantic looks up a model's module by its name.
    loader = importlib.machinery.SourceFileLoader(MAIN_NAME, path)
    spec = importlib.util.spec_from_file_location(MAIN_NAME, path, loader=loader)
    assert spec is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[MAIN_NAME] = module
    loader.exec_module(module)
