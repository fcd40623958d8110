"""Every key of a run directory, in one class. No I/O."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

RESERVED_FRAMES: Final = frozenset({"scalars", "result_file_refs", "errors"})

STAMP_FORMAT: Final = "%Y-%m-%d_%H-%M-%S"
"""Of the time in a run's id."""

_PART = re.compile(r"b(\d+)\.(\d+)-(\d+)_ok(\d+)_failed(\d+)\.arrow")


@dataclass(frozen=True, slots=True, order=True)
class PartName:
    """What the name of an outcome part says: which rows of which batch, and how they fared."""

    batch: int
    offset: int
    length: int
    succeeded: int
    failed: int

    def __str__(self) -> str:
        return f"b{self.batch:07d}.{self.offset}-{self.length}_ok{self.succeeded}_failed{self.failed}.arrow"

    @classmethod
    def parse(cls, name: str) -> "PartName | None":
        """Return the parsed name, or None for a name that is not an outcome part's."""
        match = _PART.fullmatch(name)
        return cls(*map(int, match.groups())) if match else None


@dataclass(frozen=True, slots=True)
class RunLayout:
    """The keys of one run, below its store's root.

    Attributes:
        run_id: `<experiment>/<version>/<UTC timestamp>_<6 hex>`, which is also the run's folder.
    """

    run_id: str

    @property
    def allocated(self) -> dt.datetime | None:
        """When the run was allocated, to the second; None for an id of another form."""
        stamp = self.run_id.rpartition("/")[2].rpartition("_")[0]
        try:
            return dt.datetime.strptime(stamp, STAMP_FORMAT).replace(tzinfo=dt.UTC)
        except ValueError:
            return None

    @property
    def prefix(self) -> str:
        """The run's folder, with its trailing slash."""
        return f"{self.run_id}/"

    @property
    def manifest(self) -> str:
        """The run's record."""
        return f"{self.run_id}/manifest.yml"

    @property
    def io_spec(self) -> str:
        """The JSON schema of input and output, which scythe-gen can read back."""
        return f"{self.run_id}/experiment_io_spec.yml"

    @property
    def input_artifacts(self) -> str:
        """The list of input files."""
        return f"{self.run_id}/input_artifacts.yml"

    @property
    def specs(self) -> str:
        """All specs, a row each."""
        return f"{self.run_id}/specs.pq"

    @property
    def workflow_spec(self) -> str:
        """The spec of a single-spec run."""
        return f"{self.run_id}/workflow_spec.yml"

    @property
    def workflow_output(self) -> str:
        """What the tasks of a native workflow returned, in a single-spec run of it."""
        return f"{self.run_id}/workflow_output.json"

    def artifact(self, field: str, file_name: str) -> str:
        """The key of an input file of that field."""
        return f"{self.run_id}/artifacts/{field}/{file_name}"

    @property
    def plans(self) -> str:
        """The folder of plans."""
        return f"{self.run_id}/scatter-gather/input/"

    def plan(self, plan_id: str) -> str:
        """The key of a plan."""
        return f"{self.plans}{plan_id}.json"

    @property
    def dispatch(self) -> str:
        """The queue's id of the run."""
        return f"{self.run_id}/scatter-gather/dispatch.yml"

    @property
    def outcomes(self) -> str:
        """The folder of the outcome parts of all plans."""
        return f"{self.run_id}/scatter-gather/output/"

    def parts(self, plan_id: str) -> str:
        """The folder of a plan's outcome parts."""
        return f"{self.outcomes}{plan_id}/"

    def part(self, plan_id: str, name: PartName) -> str:
        """The key of an outcome part."""
        return f"{self.parts(plan_id)}{name}"

    def frame_part(self, plan_id: str, frame: str, batch: int, offset: int, length: int) -> str:
        """The key of the rows of a user's frame that come from a piece of a batch."""
        return f"{self.run_id}/scatter-gather/frames/{plan_id}/{frame}/b{batch:07d}.{offset}-{length}.arrow"

    def log(self, file_name: str) -> str:
        """The key of what a slot has printed."""
        return f"{self.run_id}/logs/{file_name}"

    @property
    def final(self) -> str:
        """The folder of the final tables."""
        return f"{self.run_id}/final/"

    def final_table(self, name: str) -> str:
        """The key of a final table."""
        return f"{self.final}{name}.pq"

    def result_file(self, field: str, workflow_run_id: str, suffix: str) -> str:
        """The key of an output file of one spec."""
        return f"{self.run_id}/results/{field}/{workflow_run_id}{suffix}"
