"""A native workflow of Hatchet as an experiment: what goes in, what comes out, where its code is."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, get_type_hints

from scythe_runtime.base import ExperimentInputSpec, ExperimentOutputSpec
from scythe_runtime.errors import ScytheError, UsageError
from scythe_runtime.registry import Experiment, TaskOptions

RUNS_A_BATCH: Final = 50
"""Runs of a workflow that are started and committed together, where nobody says how many."""


class WorkflowFailed(ScytheError, RuntimeError):  # noqa: N818 - the name is what a user reads in errors.pq
    """A run of a native workflow came to nothing: a task raised, was cancelled, or ran out of time."""


class WorkflowOutput(ExperimentOutputSpec, extra="allow"):
    """What a workflow returns whose last task names no `ExperimentOutputSpec` as its result."""


@dataclass(frozen=True, slots=True)
class WorkflowExperiment(Experiment[Any, Any]):
    """A native workflow; its tasks run where workers serve it, never here.

    Attributes:
        workflow: Hatchet's own object.
        last_tasks: Names of the tasks that no other one waits for.
    """

    workflow: Any
    last_tasks: tuple[str, ...]

    def __call__(self, input_spec: Any, tempdir: Path | None = None) -> NoReturn:
        """Refuse: only Hatchet runs it.

        Raises:
            UsageError: Always.
        """
        del input_spec, tempdir
        message = (
            f"{self.name} is a native workflow of Hatchet: it cannot be called here. Allocate its specs with "
            "SCYTHE_ENGINE=hatchet, and start a worker."
        )
        raise UsageError(message)

    def output_of(self, answer: Mapping[str, Any]) -> ExperimentOutputSpec:
        """Return a run's outcome: what its last task returned, or each of several last tasks by its name.

        Args:
            answer: What its tasks returned, by their names.

        Raises:
            WorkflowFailed: A last task returned nothing.
            pydantic.ValidationError: It returned something else than its output spec.
        """
        missing = [name for name in self.last_tasks if not isinstance(answer.get(name), Mapping)]
        if missing:
            message = (
                f"task {missing[0]} of {self.name} gave no result: it was cancelled, skipped, or waited for a "
                "worker longer than its schedule_timeout"
            )
            raise WorkflowFailed(message)
        if len(self.last_tasks) == 1:
            values = dict(answer[self.last_tasks[0]])
        else:
            values = {name: answer[name] for name in self.last_tasks}
        output: ExperimentOutputSpec = self.output_validator_type.model_validate(values)
        return output


def workflow_experiment(workflow: Any) -> WorkflowExperiment:
    """Return a native workflow as an experiment.

    Its input is the workflow's `input_validator`. Its output is what its last task is annotated to return,
    if that is an `ExperimentOutputSpec`; otherwise whatever it returns, with a column for each key.

    Raises:
        UsageError: Its input is no `ExperimentInputSpec`, or it has no tasks.
    """
    input_type = getattr(workflow, "input_validator_type", None)
    if not (isinstance(input_type, type) and issubclass(input_type, ExperimentInputSpec)):
        message = (
            f"workflow {workflow.name}: its input is no subclass of ExperimentInputSpec. "
            "Give it one: hatchet.workflow(name=…, input_validator=MyInput)."
        )
        raise UsageError(message)
    tasks = [task for task in workflow.tasks if task.type.name == "DEFAULT"]
    if not tasks:
        message = f"workflow {workflow.name} has no tasks. Add one with @workflow.task()."
        raise UsageError(message)
    waited_for = [parent for task in tasks for parent in task.parents]
    last = [task for task in tasks if not any(task is parent for parent in waited_for)]
    output_type = _returned(last[0]) if len(last) == 1 else WorkflowOutput
    function = _function(tasks[0])
    return WorkflowExperiment(
        name=workflow.name,
        description=inspect.getdoc(function) or "",
        fn=function,
        input_validator_type=input_type,
        output_validator_type=output_type,
        accepts_tempdir=False,
        options=TaskOptions(retries=0),  # its tasks have their own
        workflow=workflow,
        last_tasks=tuple(task.name for task in last),
    )


def _function(task: Any) -> Callable[..., Any]:
    # the public property warns that it will go away with the next major version
    function: Callable[..., Any] = task._fn  # noqa: SLF001
    return function


def _returned(task: Any) -> type[ExperimentOutputSpec]:
    hint = get_type_hints(_function(task)).get("return")
    if isinstance(hint, type) and issubclass(hint, ExperimentOutputSpec):
        return hint
    return WorkflowOutput
