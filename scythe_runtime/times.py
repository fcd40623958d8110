"""Where the time of a run went: how long each spec took in its slot, and in which one, read from its parts."""

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import pyarrow as pa

from scythe_runtime.layout import RunLayout
from scythe_runtime.ledger import Ledger, read_part
from scythe_runtime.manifest import ExperimentRunManifest
from scythe_runtime.outcomes import part_metadata
from scythe_runtime.progress import seconds_text
from scythe_runtime.specs import open_specs
from scythe_runtime.store import Store

_AT_ONCE: Final = 8
_BUSY: Final = 0.7
_ALONE: Final = 1.5
"""How many times the mean of all slots the busiest one has worked, where the others waited for it."""
_SHORT_S: Final = 0.05
_SHOWN: Final = 5


def spec_times(store: Store, layout: RunLayout, ledger: Ledger) -> pa.Table:
    """Return a row for each spec that has an outcome.

    Returns:
        sort_index; ok: whether it has a result; attempt: which one counted; seconds: how long the function
        took then; worker: host and process id of the slot. In the order of the specs.
    """
    owner = ledger.owner
    rows = np.flatnonzero(owner >= 0)
    ok, attempt = np.zeros(len(owner), bool), np.zeros(len(owner), np.int64)
    seconds = np.zeros(len(owner))
    workers: list[str] = []
    counted = sorted(set(owner[rows].tolist()))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tables = pool.map(lambda index: read_part(store, ledger.parts[index]), counted)
        for index, table in zip(counted, tables, strict=True):
            mine = np.flatnonzero(owner == index)
            at = ledger.position[mine]
            for into, name in ((ok, "ok"), (attempt, "attempt"), (seconds, "seconds")):
                into[mine] = np.array(table.column(name).to_pylist())[at]
            workers.append(str(part_metadata(table.schema).get("worker")))
    place = np.searchsorted(counted, owner[rows])
    groups = open_specs(store, layout).groups(["sort_index"])
    index = np.array([n for _, group in groups for n in group.column("sort_index").to_pylist()])
    return pa.table(
        {
            "sort_index": index[rows],
            "ok": ok[rows],
            "attempt": attempt[rows],
            "seconds": seconds[rows],
            "worker": [workers[k] for k in place.tolist()],
        }
    )


def describe_times(times: pa.Table, manifest: ExperimentRunManifest) -> Iterator[str]:
    """Yield lines that say where a run's time went, and what would make it shorter."""
    seconds = np.array(times.column("seconds").to_pylist())
    if not len(seconds):
        yield "no spec has an outcome yet: `scythe doctor` says whether there are slots for this run"
        return
    workers = np.array(times.column("worker").to_pylist())
    names = sorted(set(workers.tolist()))
    slots = manifest.slots or len(names)
    lasted_s = manifest.seconds or _since(manifest)
    share = min(1.0, seconds.sum() / (slots * lasted_s)) if lasted_s else 1.0
    yield (
        f"{seconds_text(lasted_s)} on {slots} slots; in your function {seconds_text(seconds.sum())} of slot time "
        f"({share:.0%})"
    )
    half, most = np.percentile(seconds, [50, 95])
    slowest = np.argsort(-seconds, kind="stable")[:_SHOWN]
    rows = ", ".join(str(times.column("sort_index")[int(k)].as_py()) for k in slowest)
    yield (
        f"a spec: median {_text(half)}, 95 % within {_text(most)}, longest {_text(seconds.max())}; "
        f"the slowest rows: {rows}"
    )
    spent = {name: (seconds[workers == name].sum(), int((workers == name).sum())) for name in names}
    busiest = sorted(spent, key=lambda name: -spent[name][0])
    for name in busiest[: 2 * _SHOWN]:
        yield f"  {name}: {spent[name][1]:,} specs, {seconds_text(spent[name][0])}"
    if len(busiest) > 2 * _SHOWN:
        yield f"  and {len(busiest) - 2 * _SHOWN} more slots"
    if manifest.finished is None:
        yield "Batches that are at work count once they are committed."
    elif share >= _BUSY:
        more = (
            "slots (SCYTHE_SLOTS), if there are cores for them, or workers by way of Hatchet,"
            if manifest.engine == "local"
            else "workers, or more slots on them (SCYTHE_WORKER_SLOTS),"
        )
        yield f"The slots are busy: more {more} make it faster."
    elif spent[busiest[0]][0] >= max(lasted_s / 2, _ALONE * seconds.sum() / slots):
        yield "One slot worked while others waited: smaller batches (batch_size=) spread the work."
    elif half < _SHORT_S and manifest.batch_size == 1:
        yield 'Specs this short cost more to hand over than to run: batch_size="auto".'
    else:
        yield "The slots stood idle for most of it: starting, waiting in the queue, reading and writing."


def _since(manifest: ExperimentRunManifest) -> float:
    """Return for how long a run that has not ended has been going."""
    began = manifest.created
    return (dt.datetime.now(dt.UTC) - began).total_seconds() if began else 0.0


def _text(seconds: float) -> str:
    return seconds_text(seconds) if seconds >= 1 else f"{1000 * seconds:.3g} ms"
