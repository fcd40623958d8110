"""What can be checked before a run: each finding is one line, with what to do about it."""

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from scythe_runtime.derived import check_derived
from scythe_runtime.errors import ScytheError
from scythe_runtime.project import Project, open_project
from scythe_runtime.settings import EngineSettings, ScytheStorageSettings, repo_root
from scythe_runtime.store import Store, store_from_settings

_LITTLE_SPACE_BYTES: Final = 2**30
_CLOCK_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        name: What was checked.
        ok: Whether it is as it should be; None where that is for the reader to judge.
        text: What was found, and what to do about it.
    """

    name: str
    ok: bool | None
    text: str


def examine() -> Iterator[Finding]:
    """Yield what the checks find, one after another; what one of them finds wrong ends none of the others."""
    python = f"{platform.python_version()} on {platform.system()}, {os.cpu_count()} cores"
    yield Finding("python", ok=True, text=f"{python} ({sys.executable})")
    yield from _found("settings", _settings)
    yield from _found("store", _store)
    yield from _found("definition", _definition)
    project: list[Project] = []
    yield from _found("repository", lambda: _repository(project))
    if project:
        yield from _found("slots", lambda: _slots(project[0]))
    if os.environ.get("SCYTHE_ENGINE") == "hatchet":
        yield from _found("hatchet", lambda: _hatchet(project))


def _found(name: str, check: Callable[[], Iterator[tuple[bool | None, str]]]) -> Iterator[Finding]:
    try:
        for ok, text in check():
            yield Finding(name, ok, text)
    except ScytheError as error:
        yield Finding(name, ok=False, text=str(error))
    except Exception as error:  # noqa: BLE001 - the user's own modules may raise anything
        yield Finding(name, ok=False, text=f"{type(error).__name__}: {error}")


def _settings() -> Iterator[tuple[bool | None, str]]:
    engine, storage = EngineSettings(), ScytheStorageSettings()
    where = f"bucket {storage.BUCKET}" if storage.BUCKET else f"folder {storage.folder}"
    yield True, f"engine {engine.ENGINE}, {engine.SLOTS} slots, runs in {where}"


def _store() -> Iterator[tuple[bool | None, str]]:
    from scythe_runtime.store import check

    store = store_from_settings()
    check(store)
    yield True, f"{store.root_uri} can be written, listed and read"
    if store.honours_create():
        yield True, "two runs that begin at once get two versions"
    else:
        yield (
            None,
            "this store cannot refuse to replace: two runs that begin at once may share a version; their folders differ",
        )
    yield from _folder(store)


def _folder(store: Store) -> Iterator[tuple[bool | None, str]]:
    """Yield what is known of the disk, where the store is a folder."""
    from scythe_runtime.store._keys import OWN_FOLDER

    path = store.local_path(f"{OWN_FOLDER}/check")
    if path is None:
        yield from _clock(store)
        return
    free = shutil.disk_usage(path.parent).free
    enough = free >= _LITTLE_SPACE_BYTES
    yield enough, f"{free / 2**30:,.1f} GiB are free" + ("" if enough else ". Free some space.")
    apart = abs(path.stat().st_mtime - time.time())
    if apart > _CLOCK_S:
        yield False, f"its clock and this machine's are {apart:,.0f} s apart. Set them by NTP."


def _clock(store: Store) -> Iterator[tuple[bool | None, str]]:
    """Yield how far this machine's clock is from that of an S3 server, which refuses requests of another time."""
    ask = getattr(store, "server_time", None)
    server = ask() if ask is not None else None
    if server is None:
        return
    apart = abs(server.timestamp() - time.time())
    ok = apart <= _CLOCK_S
    yield (
        ok,
        f"its clock and this machine's are {apart:,.0f} s apart"
        + ("" if ok else ". Set them by NTP."),
    )


def _definition() -> Iterator[tuple[bool | None, str]]:
    root = repo_root()
    if (root / "io.yaml").is_file():
        check_derived(root)
        yield True, "what is derived follows from io.yaml"


def _repository(found: list[Project]) -> Iterator[tuple[bool | None, str]]:
    project = open_project()
    found.append(project)
    yield True, f"{project.name} in {repo_root()}, function {project.experiment.name}"


def _slots(project: Project) -> Iterator[tuple[bool | None, str]]:
    """Start one slot, which loads the function as a run's slots do."""
    from scythe_runtime.batches import Batch
    from scythe_runtime.engine._load import task_ref
    from scythe_runtime.engine._pool import SlotPool

    experiment: Any = project.experiment
    began = time.perf_counter()
    pool = SlotPool(
        task_ref(experiment.fn, name=experiment.name),
        runner="scythe_runtime.doctor:NoBatches",
        slots=1,
        timeout_s=None,
    )
    pool.start()
    try:
        pool.run_one(Batch("check", 0, (range(1),)))
    finally:
        pool.close()
    seconds = time.perf_counter() - began
    yield True, f"a slot starts and finds the function within {seconds:.1f} s"


class NoBatches:
    """A runner that does nothing: what a slot runs to show that it starts."""

    def run(self, batch: Any, progress: Callable[[int], None]) -> Any:
        """Return as if the batch were done."""
        from scythe_runtime.batches import BatchReport

        del batch, progress
        return BatchReport(succeeded=1, failed=0, seconds=0.0, user_seconds=0.0)


def _hatchet(project: list[Project]) -> Iterator[tuple[bool | None, str]]:
    from scythe_runtime.engine._hatchet_fleet import check_engine, what_is_missing, workers_of
    from scythe_runtime.engine._hatchet_tasks import short_code
    from scythe_runtime.engine._load import task_ref
    from scythe_runtime.hatchet import make_client
    from scythe_runtime.provenance import code_hash

    version, tenant = check_engine(), make_client().tenant_id
    yield (
        True,
        f"Hatchet {version} answers and takes the token, which is of tenant {tenant}: so must be the workers'",
    )
    if not project:
        return
    experiment = project[0].experiment
    task = task_ref(experiment.fn, name=experiment.name)
    code = short_code(code_hash(task.module, task.main_path))
    workers = workers_of(make_client(), experiment.name)
    missing = what_is_missing(workers, experiment.name, code)
    fits = [w for w in workers if w.active and w.code == code]
    slots = sum(w.slots for w in fits)
    yield missing is None, missing or f"{len(fits)} workers with this code ({code}), {slots} slots"
