"""What an experiment runs, by its name in the registry."""

from typing import Any, Generic, cast

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    field_serializer,
    field_validator,
)

from scythe_runtime.errors import UsageError
from scythe_runtime.registry import Experiment, ExperimentRegistry, TInput, TOutput
from scythe_runtime.settings import EngineSettings
from scythe_runtime.workflows import workflow_experiment


class UnregisteredExperiment(BaseModel, frozen=True):
    """An experiment whose code is not at hand: its runs can be read, not run.

    Attributes:
        name: Its name in the registry.
    """

    name: str


class SerializableRunnable(BaseModel, Generic[TInput, TOutput]):
    """Something that can be run, serialized as its name."""

    model_config = ConfigDict(arbitrary_types_allowed=True, populate_by_name=True)

    runnable: Any = Field(validation_alias=AliasChoices("runnable", "experiment"))

    @field_validator("runnable", mode="before")
    @classmethod
    def _runnable_from_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            return ExperimentRegistry.get_runnable(value)
        if not isinstance(getattr(value, "name", None), str):
            message = f"{value!r} is not registered. Decorate the function with @ExperimentRegistry.Register()."
            raise ValueError(message)  # noqa: TRY004 - pydantic wants a ValueError
        return value

    @field_serializer("runnable")
    def _name_of_runnable(self, value: Any) -> str:
        name: str = value.name
        return name

    def experiment_here(self) -> Experiment[TInput, TOutput]:
        """Return the registered function, or the native workflow as an experiment.

        Raises:
            UsageError: Its code is not at hand, or it is a native workflow of Hatchet and the engine is not.
        """
        runnable = self.runnable
        if isinstance(runnable, Experiment):
            return runnable
        if isinstance(runnable, UnregisteredExperiment):
            message = f"experiment {runnable.name} is not registered here. Import the module that registers it first."
            raise UsageError(message)
        if EngineSettings().ENGINE == "hatchet":
            return cast("Experiment[TInput, TOutput]", workflow_experiment(runnable))
        message = (
            f"{runnable.name} is a native workflow of Hatchet, which the local engine cannot run. "
            "Set SCYTHE_ENGINE=hatchet, or register a function."
        )
        raise UsageError(message)
