"""The names that scythe-engine gives to the keys of a run: `layout.RunLayout`, with the bucket's prefix."""

import datetime as dt
from collections.abc import Sequence
from itertools import groupby
from typing import Any, TypeVar

from pydantic import BaseModel

from scythe_runtime.layout import STAMP_FORMAT, RunLayout
from scythe_runtime.versions import SemVer

Run = TypeVar("Run", bound="RunKeys")


class RunKeys(BaseModel):
    """Keys of a run, as scythe-engine counts them: from the bucket's root.

    Attributes:
        versioned_experiment: What it is a run of.
        timestamp: When it was allocated, in UTC.
        suffix: Six hex digits that keep runs of one second apart.
    """

    versioned_experiment: Any
    timestamp: dt.datetime
    suffix: str = ""

    def __str__(self) -> str:
        return self.experiment_id

    @property
    def dt_str(self) -> str:
        """The timestamp as a string; with the suffix it is the run's folder."""
        stamp = self.timestamp.strftime(STAMP_FORMAT)
        return f"{stamp}_{self.suffix}" if self.suffix else stamp

    def created(self) -> dt.datetime | None:
        """Return when the run was allocated, as far as its keys tell."""
        return self.timestamp

    @property
    def experiment_id(self) -> str:
        """The run's full id."""
        return f"{self.versioned_experiment.base_id}/{self.dt_str}"

    @property
    def prefix(self) -> str:
        """The prefix for the run."""
        return f"{self.versioned_experiment.prefix}{self.dt_str}/"

    @property
    def artifact_prefix(self) -> str:
        """The prefix for the artifacts for the run."""
        return f"{self.prefix}artifacts/"

    @property
    def specs_filename(self) -> str:
        """The filename for the specs file, without its suffix."""
        return "specs"

    @property
    def specs_filekey(self) -> str:
        """The key for the specs file."""
        return self.construct_specs_filekey(self.specs_filename)

    @property
    def manifest_filekey(self) -> str:
        """The key for the manifest file."""
        return self._key(self._layout.manifest)

    @property
    def io_spec_filekey(self) -> str:
        """The key for the io spec file."""
        return self._key(self._layout.io_spec)

    @property
    def input_artifacts_filekey(self) -> str:
        """The key for the input artifacts file."""
        return self._key(self._layout.input_artifacts)

    @property
    def workflow_spec_filekey(self) -> str:
        """The key for the workflow spec file."""
        return self._key(self._layout.workflow_spec)

    @property
    def final_results_dirkey(self) -> str:
        """The key for the final results directory."""
        return self._key(self._layout.final)

    @property
    def scalars_filekey(self) -> str:
        """The key for the scalars file."""
        return self._key(self._layout.final_table("scalars"))

    def construct_artifact_key(self, field_name: str, file_name: str) -> str:
        """Construct the key for an artifact."""
        return self._key(self._layout.artifact(field_name, file_name))

    def construct_specs_filekey(self, filename: str) -> str:
        """Construct the key for the specs file."""
        return f"{self.prefix}{filename}.pq"

    @property
    def _layout(self) -> RunLayout:
        return RunLayout(self.experiment_id)

    def _key(self, key: str) -> str:
        """Return a key of the store with the bucket's prefix."""
        prefix = self.versioned_experiment.base_experiment.storage_settings.BUCKET_PREFIX
        return f"{prefix}/{key}"


def newest(runs: Sequence[Run], *, whole: bool = False) -> Run | None:
    """Return the latest run of the highest version among some, None where there is none.

    Args:
        runs: Folders tell the second in which a run was allocated; where two share it, their records do.
        whole: Leave out runs whose allocation has not come to its end: they have no record.
    """

    def place(run: Run) -> tuple[SemVer, dt.datetime]:
        return run.versioned_experiment.version, run.timestamp

    for _, group in groupby(sorted(runs, key=place, reverse=True), key=place):
        same = list(group)
        if len(same) == 1 and not whole:
            return same[0]
        known = [(at, run.suffix, run) for run in same if (at := run.created()) is not None]
        if known:
            return max(known, key=lambda item: item[:2])[2]
        if not whole:
            return same[0]
    return None
