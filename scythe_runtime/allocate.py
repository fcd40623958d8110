"""Allocation, from specs to a run under way. Read top to bottom: nothing is written before all is checked."""

import contextlib
import datetime as dt
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from scythe_runtime.artifacts import PlacedArtifacts, find_artifacts, place
from scythe_runtime.base import ExperimentInputSpec
from scythe_runtime.derived import check_derived
from scythe_runtime.engine import Driver, Engine, Prepared
from scythe_runtime.engine._load import StopLoading, loading_main
from scythe_runtime.errors import AlreadyExistsError, NotFoundError, UsageError
from scythe_runtime.iodiff import Level, compare, highest
from scythe_runtime.iospec import io_spec
from scythe_runtime.layout import RunLayout
from scythe_runtime.manifest import (
    Counts,
    ExperimentRunManifest,
    TaskRecord,
    dump_yaml,
    load_yaml,
    read_manifest,
    write_manifest,
)
from scythe_runtime.provenance import ProvenanceReader
from scythe_runtime.registry import Experiment
from scythe_runtime.root import Mode, Root, root_run_id
from scythe_runtime.scatter_gather import RecursionMap
from scythe_runtime.settings import TimeoutSettings, repo_root
from scythe_runtime.specs import write_specs
from scythe_runtime.store import Store, check
from scythe_runtime.table import SpecTable, spec_table
from scythe_runtime.versions import STRATEGIES, SemVer, VersioningStrategy, next_version

_BUMPS: Final[Mapping[Level, VersioningStrategy]] = {
    "major": "bumpmajor",
    "minor": "bumpminor",
    "patch": "bumppatch",
}

_NO_CLAIMS: Final = (
    "version {}: this store cannot reserve a version (it ignores If-None-Match). "
    "Two runs that are allocated at one instant may share it; their folders stay apart."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a run is allocated; see `BaseExperiment.allocate`."""

    version: SemVer | VersioningStrategy
    overwrite_sort_index: bool = True
    overwrite_experiment_id: bool = True
    recursion_map: RecursionMap | None = None
    batch_size: int | Literal["auto"] = "auto"
    max_failures: float | int | None = None
    sampling: Mapping[str, Any] | None = None
    copy_remote: bool = False


@dataclass(frozen=True, slots=True)
class Allocated:
    """A run that is under way.

    Attributes:
        run_id: Its full id.
        version: The version that it was given.
        timestamp: When, in UTC.
        suffix: What keeps two runs of one second apart.
        workflow_run_id: The run's own id, as in its manifest.
        driver: What leads it.
    """

    run_id: str
    version: SemVer
    timestamp: dt.datetime
    suffix: str
    workflow_run_id: str
    driver: Driver


def allocate_run(
    specs: object,
    *,
    experiment: Experiment[Any, Any],
    base_id: str,
    store: Store,
    engine: Engine,
    options: Options,
) -> Allocated:
    """Check specs, write a run directory, and begin the run.

    Raises:
        SpecError: Specs are not valid, or files that they name are missing; nothing has been written.
        UsageError: An option is wrong, or io.yaml was edited and the specs do not follow from it.
        StoreError: The store failed.
    """
    if loading_main():  # a slot runs the script to find the function: it must not allocate again
        raise StopLoading
    _check_options(options)
    timeout_s = experiment.options.execution_timeout_s
    if timeout_s is None and (bound := TimeoutSettings().EXPERIMENT_EXECUTION):
        timeout_s = bound.total_seconds()
    root = repo_root()
    check_derived(root)
    slots = engine.prepare(experiment, timeout_s=timeout_s)
    try:
        provenance = ProvenanceReader(root, slots.task.module, slots.task.main_path)
        table = spec_table(
            [specs] if isinstance(specs, ExperimentInputSpec) else specs,
            experiment.input_validator_type,
            overwrite_sort_index=options.overwrite_sort_index,
            overwrite_experiment_id=options.overwrite_experiment_id,
        )
        found = find_artifacts(table.files, root=root, copy_remote=options.copy_remote)
        described = io_spec(experiment.input_validator_type, experiment.output_validator_type)
        known = provenance.read(described)
        slots.check(store)
        check(store)
        wanted, why = options.version, ""
        if wanted == "auto":
            wanted, why = choose_version(store, base_id, described, known.code_hash)
        version = claim_version(store, base_id, wanted)
        if why:
            print(f"version {version}: {why}", file=sys.stderr)  # noqa: T201 - said to whoever allocates
        if wanted in _BUMPS.values() and not store.honours_create():
            print(_NO_CLAIMS.format(version), file=sys.stderr)  # noqa: T201
        now = dt.datetime.now(dt.UTC)
        suffix = secrets.token_hex(3)
        layout = RunLayout(f"{base_id}/{version}/{now:%Y-%m-%d_%H-%M-%S}_{suffix}")
        placed = place(found, store=store, layout=layout)
        manifest = ExperimentRunManifest.model_validate(
            {
                "workflow_run_id": root_run_id(layout.run_id),
                "experiment_id": layout.run_id,
                "experiment_name": experiment.name,
                "specs_uri": store.uri(layout.specs),
                "io_spec": store.uri(layout.io_spec),
                "input_artifacts": store.uri(layout.input_artifacts) if placed.locations else None,
                "state": "allocated",
                "counts": Counts(specs=len(table), pending=len(table)),
                "created": now,
                "engine": engine.name,
                "slots": engine.slots,
                "batch_size": options.batch_size,
                "max_failures": options.max_failures,
                "recursion_map": (
                    options.recursion_map or RecursionMap(factor=10, max_depth=0)
                ).model_dump(exclude_none=True),
                "task": TaskRecord(
                    module=slots.task.module,
                    name=experiment.name,
                    retries=experiment.options.retries,
                    execution_timeout_s=timeout_s,
                ),
                "provenance": known,
                "sampling": dict(options.sampling) if options.sampling else None,
            }
        )
        manifest = _write(
            store,
            layout,
            manifest=manifest,
            table=table,
            placed=placed,
            described=described,
            options=options,
        )
        del table, found  # what is written need not be held during the run
        pa.default_memory_pool().release_unused()
        if isinstance(specs, ExperimentInputSpec):
            record = specs.model_dump(mode="json", exclude={"storage_settings"})
            store.put(layout.workflow_spec, dump_yaml({**record, "experiment_id": layout.run_id}))
        driver = lead(
            store=store,
            layout=layout,
            manifest=manifest,
            experiment=experiment,
            engine=engine,
            slots=slots,
        )
    except BaseException:
        slots.close()
        raise
    _mark(specs, layout.run_id, options)
    return Allocated(layout.run_id, version, now, suffix, manifest.workflow_run_id, driver)


def lead(
    *,
    store: Store,
    layout: RunLayout,
    manifest: ExperimentRunManifest,
    experiment: Experiment[Any, Any],
    engine: Engine,
    slots: Prepared,
    mode: Mode = "start",
) -> Driver:
    """Begin an allocated run, or go on with it, and return its driver."""
    root = Root(
        store=store,
        layout=layout,
        manifest=manifest,
        experiment=experiment,
        slots=engine.slots,
        batch_seconds=engine.batch_seconds,
        mode=mode,
    )
    return slots.lead(root)


def choose_version(
    store: Store, base_id: str, described: bytes, code_hash: str
) -> tuple[VersioningStrategy, str]:
    """Return how to count on by what changed since the latest run, and why, in a line."""
    before = _latest_manifest(store, base_id)
    if before is None:
        return "keep", "the first run"
    layout, manifest = before
    changes = compare(load_yaml(store.get(layout.io_spec)), load_yaml(described))
    level = highest(changes)
    if level is not None:
        first = next(change.text for change in changes if change.level == level)
        more = f", and {len(changes) - 1} more" if len(changes) > 1 else ""
        return _BUMPS[level], f"{first}{more}"
    if manifest.provenance is not None and manifest.provenance.code_hash != code_hash:
        return "bumppatch", "the task's code changed"
    return "keep", "nothing changed since the latest run"


def _latest_manifest(store: Store, base_id: str) -> tuple[RunLayout, ExperimentRunManifest] | None:
    for version in reversed(versions(store, base_id)):
        for stamp in reversed(store.children(f"{base_id}/{version}/")):
            layout = RunLayout(f"{base_id}/{version}/{stamp}")
            with contextlib.suppress(NotFoundError):  # allocated and never written to its end
                return layout, read_manifest(store, layout)
    return None


def claim_version(store: Store, base_id: str, wanted: SemVer | VersioningStrategy) -> SemVer:
    """Return the version of a new run; a bumped one is claimed, so that no other run gets it too."""
    while True:
        version = (
            wanted if isinstance(wanted, SemVer) else next_version(wanted, latest(store, base_id))
        )
        claim = f"{base_id}/{version}/claim.yml"
        # content of its own: a put whose answer was lost must know its claim from another's
        stamp = dump_yaml({"claimed": dt.datetime.now(dt.UTC), "by": secrets.token_hex(8)})
        try:
            store.put(claim, stamp, create=True)
        except AlreadyExistsError:
            if isinstance(wanted, SemVer) or wanted == "keep":
                return version
            continue
        return version


def versions(store: Store, base_id: str) -> list[SemVer]:
    """Return the versions that an experiment has, ascending."""
    found = []
    for name in store.children(f"{base_id}/"):
        try:
            found.append(SemVer.FromString(name))
        except ValueError:
            continue
    return sorted(found)


def latest(store: Store, base_id: str) -> SemVer | None:
    """Return the highest version of an experiment, None if it has none."""
    return max(versions(store, base_id), default=None)


def _check_options(options: Options) -> None:
    if not isinstance(options.version, SemVer) and options.version not in STRATEGIES:
        message = f"version={options.version!r}: it is a SemVer or one of {', '.join(STRATEGIES)}"
        raise UsageError(message)
    size = options.batch_size
    if size != "auto" and (not isinstance(size, int) or size < 1):
        message = f"batch_size={size!r}: it is a positive integer or 'auto'"
        raise UsageError(message)
    budget = options.max_failures
    if budget is not None and (budget < 0 or (isinstance(budget, float) and budget > 1)):
        message = f"max_failures={budget!r}: it is a share from 0.0 to 1.0, or a count"
        raise UsageError(message)


def _write(
    store: Store,
    layout: RunLayout,
    *,
    manifest: ExperimentRunManifest,
    table: SpecTable,
    placed: PlacedArtifacts,
    described: bytes,
    options: Options,
) -> ExperimentRunManifest:
    specs_sha256 = write_specs(
        table.with_uris(placed.uris),
        experiment_id=layout.run_id if options.overwrite_experiment_id else None,
        store=store,
        layout=layout,
    )
    store.put(layout.io_spec, described)
    if placed.locations:
        store.put(layout.input_artifacts, dump_yaml({"files": placed.locations}))
    manifest = manifest.model_copy(update={"specs_sha256": specs_sha256})
    write_manifest(store, layout, manifest)  # last: a run that has one is whole
    return manifest


def _mark(specs: object, run_id: str, options: Options) -> None:
    """Set experiment_id and sort_index on the caller's specs, as allocation did in the run."""
    if isinstance(specs, ExperimentInputSpec):
        specs = [specs]
    if not isinstance(specs, list | tuple):
        return
    for row, spec in enumerate(specs):
        values = spec.__dict__  # frozen specs too; and a hundred times faster than setattr
        if options.overwrite_experiment_id:
            values["experiment_id"] = run_id
        if options.overwrite_sort_index:
            values["sort_index"] = row
