"""Registered experiments: a function from one input spec to one output spec, and how to run it."""

import asyncio
import inspect
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    Protocol,
    TypeVar,
    cast,
    get_args,
    get_type_hints,
)

from pydantic import TypeAdapter, ValidationError

from scythe_runtime.base import ExperimentInputSpec, ExperimentOutputSpec
from scythe_runtime.errors import ScytheError, UsageError
from scythe_runtime.settings import Duration

if TYPE_CHECKING:
    from types import FunctionType

TInput = TypeVar("TInput", bound=ExperimentInputSpec)
TOutput = TypeVar("TOutput", bound=ExperimentOutputSpec)
Input_contra = TypeVar("Input_contra", bound=ExperimentInputSpec, contravariant=True)
Output_co = TypeVar("Output_co", bound=ExperimentOutputSpec, covariant=True)

LocalFileLocation = Literal["cache", "copied-to-tempdir"]


class ExperimentTypeNotFound(ScytheError, LookupError):  # noqa: N818 - a promised name
    """No experiment of that name is registered."""

    def __init__(self, name: str) -> None:
        self.name = name
        known = ", ".join(ExperimentRegistry.names()) or "none"
        super().__init__(
            f"Experiment {name} not found. Registered: {known}. Import the module that registers it."
        )


class ExperimentTypeExists(ScytheError, ValueError):  # noqa: N818 - a promised name
    """Another function has registered that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"Experiment {name} already exists, from another function. Register this one with name=…"
        )


class ExperimentFunctionWithoutTempdir(Protocol[Input_contra, Output_co]):
    """An experiment's function: `fn(input_spec) -> output`."""

    def __call__(self, input_spec: Input_contra, /) -> Output_co | Awaitable[Output_co]:
        """Return the result of one sample."""
        ...


class ExperimentFunctionWithTempdir(Protocol[Input_contra, Output_co]):
    """An experiment's function that wants a folder of its own: `fn(input_spec, tempdir) -> output`."""

    def __call__(
        self, input_spec: Input_contra, /, tempdir: Path
    ) -> Output_co | Awaitable[Output_co]:
        """Return the result of one sample."""
        ...


ExperimentFunction = (
    ExperimentFunctionWithoutTempdir[Input_contra, Output_co]
    | ExperimentFunctionWithTempdir[Input_contra, Output_co]
)


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """How an experiment's function is run.

    Attributes:
        retries: How often a spec whose function raised is tried again.
        execution_timeout_s: Time that one spec may take, in seconds; None is without bound locally.
        schedule_timeout_s: Time that a task may wait in a queue, or a local run for its first spec, in seconds.
        auto_fetch_files: Whether file references arrive as local paths.
        local_file_location: Whether the function sees the shared cached file or a copy in its tempdir.
        inject_workflow_run_id: Whether specs get their `workflow_run_id`.
        desired_worker_labels: Which workers may run it.
        task_config: Further options for the queue's own task.
    """

    retries: int = 1
    execution_timeout_s: float | None = None
    schedule_timeout_s: float | None = None
    auto_fetch_files: bool = True
    local_file_location: LocalFileLocation = "cache"
    inject_workflow_run_id: bool = True
    desired_worker_labels: Mapping[str, Any] | None = None
    task_config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Experiment(Generic[TInput, TOutput]):
    """A registered function. Calling it runs the function here and now.

    Attributes:
        name: Its name in the registry.
        input_validator_type: The class of its input specs.
        output_validator_type: The class of its results.
    """

    name: str
    description: str
    fn: Callable[..., TOutput | Awaitable[TOutput]]
    input_validator_type: type[TInput]
    output_validator_type: type[TOutput]
    accepts_tempdir: bool
    options: TaskOptions

    def __call__(self, input_spec: TInput, tempdir: Path | None = None) -> TOutput:
        """Return the function's result, files in its tempdir included.

        Args:
            input_spec: The sample; references to remote files are fetched first.
            tempdir: The function's folder; by default one that lives as long as this process.

        Raises:
            UsageError: The function returned something else than its output spec.
        """
        if self.options.auto_fetch_files:
            input_spec = input_spec.with_local_files()
        if self.accepts_tempdir and tempdir is None:
            tempdir = Path(_process_tempdirs.enter_context(tempfile.TemporaryDirectory()))
        if tempdir is not None and self.options.local_file_location == "copied-to-tempdir":
            input_spec = input_spec.with_files_copied_to(tempdir)
        folder = {"tempdir": tempdir} if self.accepts_tempdir else {}
        result = self.finished(self.fn(input_spec, **folder))
        if not isinstance(result, self.output_validator_type):
            message = self.wrong_result(result)
            raise UsageError(message)
        return result

    def finished(self, result: object) -> object:
        """Return what a function returned; a coroutine is run to its end."""
        return _run_to_its_end(result) if inspect.isawaitable(result) else result

    def wrong_result(self, result: object) -> str:
        """Return the message for a result of the wrong type."""
        return (
            f"{self.fn.__qualname__} returned {type(result).__qualname__}, "
            f"not {self.output_validator_type.__qualname__}. Return {self.output_validator_type.__qualname__}(…)."
        )

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The function itself."""
        return self.fn


# folders of direct calls; emptied when the interpreter ends
_process_tempdirs = ExitStack()


def _run_to_its_end(awaitable: Awaitable[TOutput]) -> TOutput:
    async def wait() -> TOutput:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as pool:  # a notebook has a loop that runs already
        return pool.submit(asyncio.run, wait()).result()


class ExperimentRegistry:
    """All experiments of this process."""

    _experiments: ClassVar[dict[str, Experiment[Any, Any]]] = {}
    _workflows: ClassVar[dict[str, Any]] = {}

    @classmethod
    def Register(  # noqa: N802 - a promised name
        cls,
        *,
        worker: Any = None,
        description: str | None = None,
        name: str | None = None,
        desired_worker_labels: Mapping[str, Any] | None = None,
        schedule_timeout: timedelta | str | float | None = None,
        execution_timeout: timedelta | str | float | None = None,
        retries: int = 1,
        inject_workflow_run_id: bool = True,
        auto_fetch_files: bool = True,
        local_file_location: LocalFileLocation = "cache",
        **task_config: Any,
    ) -> Callable[[ExperimentFunction[TInput, TOutput]], Experiment[TInput, TOutput]]:
        """Return a decorator that registers a function as an experiment.

        Usage:
            @ExperimentRegistry.Register(description="…")
            def my_experiment(input_spec: MyInput) -> MyOutput: ...

        Args:
            worker: What shall serve it at once, by its `register_workflow`; a worker of Hatchet's SDK cannot.
            description: What it does; by default the function's docstring.
            name: Its name; by default `scythe_experiment_<function>`.
            desired_worker_labels: Which workers may run it (Hatchet).
            schedule_timeout: How long a task may wait in the queue, and a local run for its first spec;
                seconds, timedelta or "10m".
            execution_timeout: How long one spec may take; likewise.
            retries: How often a spec whose function raised is tried again.
            inject_workflow_run_id: Give each spec its `workflow_run_id`.
            auto_fetch_files: Let file references arrive as local paths.
            local_file_location: "cache", or "copied-to-tempdir" for files that the function changes.
            **task_config: Further options for the queue's own task.

        Raises:
            UsageError: The function's signature is not that of an experiment.
            ExperimentTypeExists: Another function has that name.
        """

        def decorator(fn: ExperimentFunction[TInput, TOutput]) -> Experiment[TInput, TOutput]:
            function = cast("FunctionType", fn)
            input_type, output_type, accepts_tempdir = _signature(function)
            _check_options(function.__qualname__, retries, local_file_location, accepts_tempdir)
            experiment = Experiment(
                name=name or f"scythe_experiment_{function.__name__}",
                description=description or inspect.getdoc(function) or "",
                fn=function,
                input_validator_type=cast("type[TInput]", input_type),
                output_validator_type=cast("type[TOutput]", output_type),
                accepts_tempdir=accepts_tempdir,
                options=TaskOptions(
                    retries=retries,
                    execution_timeout_s=_seconds("execution_timeout", execution_timeout),
                    schedule_timeout_s=_seconds("schedule_timeout", schedule_timeout),
                    auto_fetch_files=auto_fetch_files,
                    local_file_location=local_file_location,
                    inject_workflow_run_id=inject_workflow_run_id,
                    desired_worker_labels=desired_worker_labels,
                    task_config=task_config,
                ),
            )
            cls.Include(experiment)
            if worker is not None:
                _serve_at_once(worker, experiment)
            return experiment

        return decorator

    @classmethod
    def Include(cls, task: Any) -> Any:  # noqa: N802 - a promised name
        """Register an experiment, or a native Hatchet `Workflow`, and return it.

        Raises:
            UsageError: It is neither.
            ExperimentTypeExists: Something else has that name.
        """
        if not isinstance(getattr(task, "name", None), str):
            message = (
                f"{task!r} is no workflow. Register a function with @ExperimentRegistry.Register()."
            )
            raise UsageError(message)
        known = cls._experiments.get(task.name) or cls._workflows.get(task.name)
        if known is not None and known is not task and not _same_function(known, task):
            raise ExperimentTypeExists(task.name)
        table = cls._experiments if isinstance(task, Experiment) else cls._workflows
        table[task.name] = task
        return task

    @classmethod
    def get_runnable(cls, name: str) -> Any:
        """Return the experiment or workflow of that name.

        Raises:
            ExperimentTypeNotFound: There is none.
        """
        try:
            return cls._experiments.get(name) or cls._workflows[name]
        except KeyError:
            raise ExperimentTypeNotFound(name) from None

    @classmethod
    def experiments(cls) -> list[Experiment[Any, Any]]:
        """Return all registered experiments."""
        return list(cls._experiments.values())

    @classmethod
    def workflows(cls) -> list[Any]:
        """Return all native workflows that were included."""
        return list(cls._workflows.values())

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all registered experiments and workflows."""
        return [*cls._experiments, *cls._workflows]


def _serve_at_once(worker: Any, experiment: Experiment[Any, Any]) -> None:
    if type(worker).__module__.startswith("hatchet_sdk"):
        message = (
            f"{experiment.name}: Register(worker=…): a worker of Hatchet's SDK runs functions in its own process, "
            "where one that crashes or hangs takes all others along. Leave `worker` out, and start "
            "ScytheWorkerConfig().start(), which serves all that is registered."
        )
        raise UsageError(message)
    worker.register_workflow(experiment)


def _check_options(fn: str, retries: int, location: str, accepts_tempdir: bool) -> None:  # noqa: FBT001
    problems = []
    if retries < 0:
        problems.append(f"retries={retries}: it is 0 or more")
    if location not in get_args(LocalFileLocation):
        known = " or ".join(map(repr, get_args(LocalFileLocation)))
        problems.append(f"local_file_location={location!r}: it is {known}")
    if location == "copied-to-tempdir" and not accepts_tempdir:
        problems.append(
            "local_file_location='copied-to-tempdir' needs a `tempdir: Path` argument; add it, or use 'cache'"
        )
    if problems:
        message = f"{fn}: {'; '.join(problems)}"
        raise UsageError(message)


def _seconds(option: str, value: timedelta | str | float | None) -> float | None:
    try:
        duration: timedelta | None = TypeAdapter(Duration).validate_python(value)
    except ValidationError as error:
        message = f"{option}={value!r}: {error.errors()[0]['msg']}. Write seconds, a timedelta, or a text like '10m'."
        raise UsageError(message) from None
    return duration.total_seconds() if duration is not None else None


def _same_function(known: object, task: object) -> bool:
    """Return whether a function is registered again: a notebook cell, a reloaded module, a slot's load of a script."""
    if not (isinstance(known, Experiment) and isinstance(task, Experiment)):
        return False
    return (_home(known), known.fn.__qualname__) == (_home(task), task.fn.__qualname__)


def _home(experiment: Experiment[Any, Any]) -> str:
    return str(inspect.getsourcefile(inspect.unwrap(experiment.fn)))


def _signature(fn: "FunctionType") -> tuple[type, type, bool]:
    """Return a function's input type, output type, and whether it takes a tempdir."""
    where = f"{fn.__module__}.{fn.__qualname__}"
    try:
        hints = get_type_hints(fn)
    except NameError as error:
        message = (
            f"{where}: {error}. Import the name at the top of the module, not under TYPE_CHECKING."
        )
        raise UsageError(message) from None
    parameters = list(inspect.signature(fn).parameters)
    problems = []
    extra = [p for p in parameters[1:] if p != "tempdir"]
    if not parameters or parameters[0] == "tempdir":
        problems.append("it takes no input spec")
    if extra:
        problems.append(f"it takes more than an input spec and a tempdir: {', '.join(extra)}")
    input_type = hints.get(parameters[0]) if parameters else None
    output_type = hints.get("return")
    if not (isinstance(input_type, type) and issubclass(input_type, ExperimentInputSpec)):
        problems.append(
            "its first argument is not annotated with a subclass of ExperimentInputSpec"
        )
    if not (isinstance(output_type, type) and issubclass(output_type, ExperimentOutputSpec)):
        problems.append("its result is not annotated with a subclass of ExperimentOutputSpec")
    if problems:
        message = (
            f"{where} cannot be registered: {'; '.join(problems)}. "
            "Write it as `def fn(input_spec: MyInput) -> MyOutput` or with `tempdir: Path` besides."
        )
        raise UsageError(message)
    return cast("type", input_type), cast("type", output_type), "tempdir" in parameters
