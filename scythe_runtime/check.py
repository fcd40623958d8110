"""Whether a run directory is whole: every spec has one outcome, and the tables say the same as the parts."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from scythe_runtime.columns import kind_in
from scythe_runtime.errors import NotFoundError, RunDamagedError, StoreError
from scythe_runtime.files import shown
from scythe_runtime.layout import RunLayout
from scythe_runtime.ledger import Ledger, frame_table, read_ledger, read_part
from scythe_runtime.manifest import load_yaml, read_manifest
from scythe_runtime.outcomes import part_metadata
from scythe_runtime.specs import open_specs, sha256_of
from scythe_runtime.store import Store


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check_run` found.

    Attributes:
        specs: How many specs the run has.
        succeeded: Rows of scalars.pq.
        failed: Rows of errors.pq.
        pending: Specs without an outcome.
        problems: What is wrong, one line each; empty for a whole run.
    """

    specs: int
    succeeded: int
    failed: int
    pending: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every spec has one outcome and nothing is wrong."""
        return not self.problems and not self.pending


def check_run(store: Store, layout: RunLayout) -> CheckReport:
    """Return what is wrong with a run: missing or damaged files, counts that do not add up."""
    problems: list[str] = []
    try:
        manifest = read_manifest(store, layout)
        specs = open_specs(store, layout)
        ledger = read_ledger(store, layout, specs.num_rows)
    except (NotFoundError, RunDamagedError, pa.ArrowException) as error:
        return CheckReport(0, 0, 0, 0, (f"run {layout.run_id}: {error}",))
    problems += _damaged_parts(store, ledger)
    problems += _missing_artifacts(store, layout)
    problems += _missing_files(store, layout)
    counts = {name: _rows(store, layout, name, problems) for name in ("scalars", "errors")}
    succeeded, failed = counts["scalars"] or 0, counts["errors"] or 0
    pending = specs.num_rows - ledger.num_done
    stated = manifest.counts
    if manifest.state in {"complete", "complete-with-failures"}:
        if pending:
            first = [row for part in ledger.missing for row in part][:3]
            problems.append(
                f"run {layout.run_id}: {pending} of {specs.num_rows} specs have no outcome "
                f"(first: {', '.join(map(str, first))}). Run them: scythe resume {layout.run_id}"
            )
        if succeeded + failed != specs.num_rows:
            problems.append(
                f"run {layout.run_id}: {succeeded} results and {failed} failures of {specs.num_rows} specs"
            )
        if manifest.gathered not in {None, ledger.digest}:
            problems.append(
                f"run {layout.run_id}: outcomes were committed after its tables were written. "
                f"Write them again: scythe resume {layout.run_id}"
            )
    if manifest.specs_sha256 not in {None, sha256_of(specs.path)}:
        problems.append("specs.pq is not the one that the run was allocated with")
    if stated is not None:
        if stated.specs != specs.num_rows:
            problems.append(f"manifest.yml: {stated.specs} specs, specs.pq has {specs.num_rows}")
        if stated.succeeded + stated.failed + stated.pending != stated.specs:
            problems.append("manifest.yml: the counts do not add up")
    return CheckReport(specs.num_rows, succeeded, failed, pending, tuple(problems))


def _damaged_parts(store: Store, ledger: Ledger) -> Iterator[str]:
    """Yield what is wrong with the parts, and which input files were not the same for all of them."""
    contents: defaultdict[str, set[str]] = defaultdict(set)
    for part in ledger.parts:
        try:
            metadata = part_metadata(read_part(store, part).schema)
            for uri, digest in metadata.get("files", {}).items():
                contents[uri].add(digest)
            for name in metadata["frames"]:
                key = part.frame_key(name)
                path = store.local_path(key)
                frame_table(part, name, path if path is not None else store.get(key))
        except (RunDamagedError, StoreError) as error:
            yield str(error)
    for uri, digests in contents.items():
        if len(digests) > 1:
            yield (
                f"input file {shown(uri)} changed while the run went on: results of {len(digests)} contents stand "
                "side by side. Start a new run, with allocate(…, copy_remote=True)"
            )


def _rows(store: Store, layout: RunLayout, name: str, problems: list[str]) -> int | None:
    key = layout.final_table(name)
    path = store.local_path(key)
    try:
        source = path if path is not None else pa.BufferReader(store.get(key))
        return int(pq.ParquetFile(source).read().num_rows)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError) as error:
        problems.append(
            f"{key}: cannot be read ({error}). Write it again: scythe resume {layout.run_id}"
        )
        return None


def _missing_files(store: Store, layout: RunLayout) -> Iterator[str]:
    """Yield what is wrong with the files that specs have put."""
    key = layout.final_table("result_file_refs")
    path = store.local_path(key)
    try:
        source = path if path is not None else pa.BufferReader(store.get(key))
        table = pq.ParquetFile(source).read()
    except FileNotFoundError:
        return
    except (pa.ArrowException, OSError) as error:
        yield f"{key}: cannot be read ({error}). Write it again: scythe resume {layout.run_id}"
        return
    prefix = f"{layout.prefix}results/"
    present = {store.uri(entry.key) for entry in store.list(prefix)}
    own = store.uri(f"{layout.run_id}/results") + "/"
    for field in table.schema:
        if kind_in(field) != "file" or field.name in table.schema.pandas_metadata["index_columns"]:
            continue
        numbers = table.column("sort_index").to_pylist()
        rows = list(zip(numbers, table.column(field.name).to_pylist(), strict=True))
        yield from _elsewhere(store, [uri for _, uri in rows if uri], own)
        gone = [row for row, uri in rows if uri and uri.startswith(own) and uri not in present]
        if gone:
            first = ", ".join(map(str, gone[:3]))
            yield f"{prefix}{field.name}: the files of {len(gone)} specs are missing (first: {first})"


def _missing_artifacts(store: Store, layout: RunLayout) -> list[str]:
    try:
        recorded = load_yaml(store.get(layout.input_artifacts))
    except NotFoundError:
        return []
    except StoreError as error:
        return [str(error)]
    present = {store.uri(entry.key) for entry in store.list(f"{layout.prefix}artifacts/")}
    own = store.uri(f"{layout.run_id}/artifacts") + "/"
    named = [uri for uris in recorded["files"].values() for uri in uris]
    return [
        *_elsewhere(store, named, own),
        *(
            f"input file {uri} of {field} is missing"
            for field, uris in recorded["files"].items()
            for uri in uris
            if uri.startswith(own) and uri not in present
        ),
    ]


def _elsewhere(store: Store, uris: list[str], own: str) -> Iterator[str]:
    """Yield that a run was moved: its tables name its files by where they were then."""
    place = own.removeprefix(store.root_uri)
    moved = [uri for uri in uris if place in uri and not uri.startswith(own)]
    if moved:
        yield (
            f"{len(moved)} files of this run are named where it was when they were written (first: {moved[0]}). "
            f"It was moved or copied: they are in {own}"
        )
