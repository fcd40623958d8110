"""Errors of the runtime. A message says what, where and how to fix.

ScytheError
├── UsageError (ValueError)              the user's mistake: printed without traceback, exit code 2
│   ├── SettingsError                    an environment variable or option
│   │   └── StoreSettingsError (StoreError)   a store that cannot be used as it is named
│   ├── DesignError                      a design of experiments that cannot be drawn
│   ├── SpecError                        specs that do not fit the experiment
│   │   └── ExperimentSpecsMismatchError (TypeError)   a spec of another class
│   ├── TaskNotFoundError (LookupError)  a slot cannot find the function by module and name
│   └── NeedsQueueError                  a piece of scythe-engine that only its queue can run
├── TaskNotWritten (NotImplementedError) the generated stub still stands
├── StoreError (OSError)
│   ├── NotFoundError (FileNotFoundError)
│   ├── AlreadyExistsError (FileExistsError)   a create put found the key taken
│   └── StoreUnavailableError (ConnectionError)
├── BaseNotFoundError (LookupError)      an experiment, version or run that is not in the store
├── ExperimentIndexNotSerializableError (TypeError)   a value that cannot be stored
├── ExperimentIndexAdditionalData…Error (ValueError)  what an index is made of does not fit together
├── ScalarInDataframesError, ResultFileRefsInDataframesError (LookupError)   a frame with a name of ours
├── RunDamagedError (RuntimeError)       a run directory that contradicts itself
└── EngineError (RuntimeError)
    └── SlotStartError                   a slot could not be started, or the task's module does not import
"""

from typing import Any


class ScytheError(Exception):
    """Base of all errors that the runtime raises on purpose."""


class UsageError(ScytheError, ValueError):
    """The user's mistake; printed without traceback, exit code 2."""


class SettingsError(UsageError):
    """An environment variable or option has a value that cannot be used."""


class DesignError(UsageError):
    """A design of experiments cannot be drawn as described."""


class SpecError(UsageError):
    """Specs do not fit the experiment; the message lists the first of all problems."""


class TaskNotFoundError(UsageError, LookupError):
    """A registered function cannot be found by its module and name."""


class NeedsQueueError(UsageError):
    """What was called works only inside a queue's task in scythe-engine; here an engine does it."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name} needs the context of a queue's task, which runs do not have here: "
            "the engine splits and gathers by itself. Call BaseExperiment(…).allocate(specs, recursion_map=…)."
        )


class ExperimentSpecsMismatchError(SpecError, TypeError):
    """A spec is not of the experiment's input type."""

    def __init__(self, expected_type: type, actual_type: type) -> None:
        self.expected_type = expected_type
        self.actual_type = actual_type
        super().__init__(f"Expected type {expected_type.__name__}, got {actual_type.__name__}.")


class TaskNotWritten(ScytheError, NotImplementedError):  # noqa: N818 - the name is the message
    """The task of a generated repository is still the stub."""


class StoreError(ScytheError, OSError):
    """The store refused or failed."""


class StoreSettingsError(SettingsError, StoreError):
    """Before any work, the store that the environment names cannot be used: a wrong folder, bucket, key or right."""


class NotFoundError(StoreError, FileNotFoundError):
    """No object is stored under that key."""


class AlreadyExistsError(StoreError, FileExistsError):
    """A put in create mode found its key taken."""


class StoreUnavailableError(StoreError, ConnectionError):
    """The store does not answer, or not in time, after all retries."""


class RunDamagedError(ScytheError, RuntimeError):
    """A run directory contradicts itself or lacks what it must hold."""


class EngineError(ScytheError, RuntimeError):
    """The engine cannot run batches."""


class SlotStartError(EngineError):
    """A slot process could not be started, or the task's module does not import in it."""


class DuplicateInputArtifactsError(ScytheError, ValueError):
    """Two input files share a name; kept for code that catches it: such files are told apart now."""

    def __init__(self, file_name: str, field_name: str) -> None:
        self.file_name = file_name
        self.field_name = field_name
        super().__init__(f"{field_name}: more than one input file is called {file_name}")


class BaseNotFoundError(ScytheError, LookupError):
    """Something is not in the store."""


class ExperimentNotFoundError(BaseNotFoundError):
    """An experiment has no runs."""

    def __init__(self, experiment_name: str) -> None:
        self.experiment_name = experiment_name
        super().__init__(f"Experiment {experiment_name} not found: it has no runs here.")


class ExperimentVersionNotFoundError(BaseNotFoundError):
    """An experiment has no such version."""

    def __init__(self, experiment_name: str, version: Any) -> None:
        self.experiment_name = experiment_name
        self.version = version
        super().__init__(f"Experiment {experiment_name}/{version} not found.")


class ExperimentRunNotFoundError(BaseNotFoundError):
    """There is no such run."""

    def __init__(
        self, experiment_name: str, version: Any, run_name: str, *, hint: str = ""
    ) -> None:
        self.experiment_name = experiment_name
        self.version = version
        self.run_name = run_name
        where = "/".join(str(p) for p in (experiment_name, version, run_name) if p)
        super().__init__(
            " ".join(filter(None, [f"Experiment run {where} not found.", hint]))
            + " List the runs: scythe runs"
        )


class ExperimentIndexNotSerializableError(ScytheError, TypeError):
    """A value of a spec cannot be stored, or be a level of an index."""

    def __init__(self, cls: type[Any], problem: str | None = None) -> None:
        self.cls = cls
        super().__init__(
            f"{cls.__name__}: {problem or 'the index data cannot be written as JSON. Use plain values.'}"
        )


class ExperimentIndexAdditionalDataDoesNotMatchNRowsError(ScytheError, ValueError):
    """The additional index data has another number of rows than was asked for."""

    def __init__(
        self, n_rows: int, additional_index_data: dict[str, Any] | list[dict[str, Any]]
    ) -> None:
        self.n_rows = n_rows
        self.additional_index_data = additional_index_data
        super().__init__(
            f"additional_index_data has {len(additional_index_data)} rows, n_rows is {n_rows}. Give one dict a row."
        )


class ExperimentIndexAdditionalDataOverlapsWithSpecError(ScytheError, ValueError):
    """Additional index data or a computed feature has the name of a field."""

    def __init__(self, overlapping_keys: list[str]) -> None:
        self.overlapping_keys = overlapping_keys
        super().__init__(
            f"index names that the spec has already: {', '.join(overlapping_keys)}. Rename them."
        )


class ScalarInDataframesError(ScytheError, LookupError):
    """A user's frame is called scalars."""

    def __init__(self, scalar: object) -> None:
        self.scalar = scalar
        super().__init__("`scalars` is the name of the table of scalar outputs. Rename the frame.")


class ResultFileRefsInDataframesError(ScytheError, LookupError):
    """A user's frame is called result_file_refs."""

    def __init__(self, result_file_refs: object) -> None:
        self.result_file_refs = result_file_refs
        super().__init__(
            "`result_file_refs` is the name of the table of output files. Rename the frame."
        )
