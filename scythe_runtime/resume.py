"""Going on with a run: is it the run that it was, what is reused, what is missing, what differs."""

import sys
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scythe_runtime.allocate import lead
from scythe_runtime.engine import Driver, Engine
from scythe_runtime.errors import NotFoundError, RunDamagedError, UsageError
from scythe_runtime.iodiff import compare
from scythe_runtime.iospec import io_spec
from scythe_runtime.layout import RunLayout
from scythe_runtime.leading import require_unled
from scythe_runtime.ledger import Ledger, read_ledger, read_part
from scythe_runtime.manifest import Counts, ExperimentRunManifest, load_yaml, read_manifest
from scythe_runtime.provenance import ProvenanceReader
from scythe_runtime.registry import Experiment
from scythe_runtime.root import Ending, Mode, Progress
from scythe_runtime.settings import repo_root
from scythe_runtime.specs import open_specs, sha256_of
from scythe_runtime.store import Store

_COMPLETE = frozenset({"complete", "complete-with-failures"})
_NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands before it goes on.

    Attributes:
        manifest: Its record.
        ledger: What it has committed.
        differences: What is not as it was at allocation, one line each.
    """

    manifest: ExperimentRunManifest
    ledger: Ledger
    differences: tuple[str, ...]

    def describe(self, mode: Mode) -> str:
        """Return a few lines: what is reused, what is run, what differs."""
        ledger = self.ledger
        run = ledger.num_failed if mode == "retry" else ledger.num_specs - ledger.num_done
        kept = ledger.num_done - (run if mode == "retry" else 0)
        what = "failed" if mode == "retry" else "missing"
        lines = [f"{kept:,} of {ledger.num_specs:,} specs are reused, {run:,} {what} ones are run"]
        if not run and mode == "retry":
            lines = [
                f"nothing failed: {ledger.num_done:,} of {ledger.num_specs:,} specs have a result"
            ]
        elif not run:
            lines = [f"nothing is missing: all {ledger.num_specs:,} specs have an outcome"]
        if self.differences:
            lines.append("since the run was allocated:")
            lines += [f"  {text}" for text in self.differences]
        return "\n".join(lines)


def stand(store: Store, layout: RunLayout, experiment: Experiment[Any, Any]) -> Standing:
    """Return how a run stands.

    Raises:
        UsageError: The experiment's definition is another one now.
        RunDamagedError: The run directory lacks what it must hold, or contradicts itself.
    """
    try:
        manifest = read_manifest(store, layout)
        specs = open_specs(store, layout)
        described = store.get(layout.io_spec)
    except NotFoundError as error:
        message = f"run {layout.run_id} was never allocated to its end ({error}). Start a new one: scythe run"
        raise RunDamagedError(message) from None
    except pa.ArrowException as error:
        message = (
            f"run {layout.run_id}: specs.pq cannot be read ({error}). Start a new run: scythe run"
        )
        raise RunDamagedError(message) from None
    if manifest.experiment_id != layout.run_id:
        message = f"the folder {layout.run_id} holds another run, {manifest.experiment_id}. Put it back under that name."
        raise RunDamagedError(message)
    if manifest.specs_sha256 not in {None, sha256_of(specs.path)}:
        message = (
            f"run {layout.run_id}: specs.pq is not the one that it was allocated with. Bring that one back, "
            "or start a new run: scythe run"
        )
        raise RunDamagedError(message)
    if manifest.counts is None or manifest.counts.specs != specs.num_rows:
        message = f"run {layout.run_id}: specs.pq has {specs.num_rows} rows, the manifest says {manifest.counts and manifest.counts.specs}"
        raise RunDamagedError(message)
    now = io_spec(experiment.input_validator_type, experiment.output_validator_type)
    changes = compare(load_yaml(described), load_yaml(now))
    if changes:
        listed = "; ".join(change.text for change in changes[:_NAMED_AT_MOST])
        message = (
            f"run {layout.run_id} was allocated with another definition: {listed}. "
            "Its results would not fit together. Start a new run: scythe run"
        )
        raise UsageError(message)
    return Standing(
        manifest,
        read_ledger(store, layout, specs.num_rows),
        tuple(_differences(manifest, experiment, now)),
    )


def _differences(
    manifest: ExperimentRunManifest, experiment: Experiment[Any, Any], described: bytes
) -> list[str]:
    then = manifest.provenance
    if then is None or manifest.task is None:
        return ["manifest.yml does not say with which code and packages the run was allocated"]
    module = experiment.fn.__module__
    main_path = getattr(sys.modules.get("__main__"), "__file__", None)
    reader = ProvenanceReader(repo_root(), module, main_path if module == "__main__" else None)
    now = reader.read(described)
    found = []
    if now.code_hash != then.code_hash:
        commit = f" (it was allocated at commit {then.git_commit[:10]})" if then.git_commit else ""
        found.append(
            f"the task's code changed{commit}: results of two versions of it stand side by side"
        )
    if now.lock_hash != then.lock_hash:
        moved = [
            f"{name} {then.packages.get(name, 'absent')} → {now.packages.get(name, 'absent')}"
            for name in sorted({*then.packages, *now.packages})
            if then.packages.get(name) != now.packages.get(name)
        ]
        more = f" and {len(moved) - _NAMED_AT_MOST} more" if len(moved) > _NAMED_AT_MOST else ""
        found.append(
            f"the packages changed: {', '.join(moved[:_NAMED_AT_MOST]) or 'the lock file'}{more}"
        )
    if now.python != then.python:
        found.append(f"Python changed from {then.python} to {now.python}")
    return found


def go_on(
    *,
    store: Store,
    layout: RunLayout,
    experiment: Experiment[Any, Any],
    engine: Engine,
    mode: Mode,
) -> tuple[Driver, ExperimentRunManifest]:
    """Say how a run stands, go on with it, and return its driver and its record.

    A whole run that has nothing to do ends at once: no slot is started, nothing is written.

    Raises:
        UsageError: The experiment's definition is another one now, or a process of this machine leads the run.
        RunDamagedError: The run directory lacks what it must hold.
    """
    require_unled(store, layout.run_id)
    standing = stand(store, layout, experiment)
    manifest, ledger = standing.manifest, standing.ledger
    print(standing.describe(mode), file=sys.stderr)  # noqa: T201 - said before anything is computed
    nothing = not (ledger.num_failed if mode == "retry" else ledger.missing)
    gathered = manifest.gathered in {None, ledger.digest}
    if nothing and gathered and manifest.state in _COMPLETE and manifest.counts:
        uris = _final_uris(store, layout, manifest.counts)
        if uris is not None:
            return EndedDriver(Ending(manifest.state, manifest.counts, uris, None, 0.0)), manifest
    _require_whole_parts(store, ledger)
    timeout_s = manifest.task.execution_timeout_s if manifest.task else None
    slots = engine.prepare(experiment, timeout_s=timeout_s)
    try:
        driver = lead(
            store=store,
            layout=layout,
            manifest=manifest,
            experiment=experiment,
            engine=engine,
            slots=slots,
            mode=mode,
        )
    except BaseException:
        slots.close()
        raise
    return driver, manifest


def _require_whole_parts(store: Store, ledger: Ledger) -> None:
    """Return only if all parts can be read: what is found now need not be found after hours of work.

    Of a remote store they are read when the tables are written: here they would cost a request each.

    Raises:
        RunDamagedError: One cannot, or it is of another run.
    """
    for part in ledger.parts:
        if store.local_path(part.key) is not None:
            read_part(store, part)


def _final_uris(store: Store, layout: RunLayout, counts: Counts) -> dict[str, str] | None:
    """Return the URIs of the final tables if they are whole, else None: they are written again."""
    uris = {}
    for name, rows in (("scalars", counts.succeeded), ("errors", counts.failed)):
        key = layout.final_table(name)
        path = store.local_path(key)
        try:
            source = path if path is not None else pa.BufferReader(store.get(key))
            if pq.ParquetFile(source).metadata.num_rows != rows:
                return None
        except (FileNotFoundError, pa.ArrowException, OSError):
            return None
    for entry in store.list(layout.final):
        name = entry.key.removeprefix(layout.final).removesuffix(".pq")
        uris[name] = store.uri(entry.key)
    return uris


class EndedDriver:
    """A run that had ended before anyone asked."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return True."""
        del timeout_s
        return True

    def ending(self) -> Ending:
        """Return how it ended."""
        return self._ending

    def progress(self) -> Progress:
        """Return that all is done."""
        counts = self._ending.counts
        return Progress("done", counts.specs, counts.succeeded, counts.failed, 0.0, None)

    def cancel(self) -> None:
        """Do nothing: there is nothing to end."""

    def interrupt(self) -> str:
        """Return that it was too late."""
        return "interrupted; the run had ended"
