"""Finding runs in a store: by listing, and by a full id or its beginning."""

import importlib
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from scythe_runtime.errors import ExperimentRunNotFoundError, NotFoundError
from scythe_runtime.experiments import RUN_FOLDER, BaseExperiment, ExperimentRun
from scythe_runtime.layout import RunLayout
from scythe_runtime.manifest import ExperimentRunManifest, read_manifest
from scythe_runtime.registry import ExperimentRegistry, ExperimentTypeNotFound
from scythe_runtime.run_keys import newest
from scythe_runtime.runnable import UnregisteredExperiment
from scythe_runtime.settings import ScytheStorageSettings, experiment_modules, repo_root
from scythe_runtime.store import store_from_settings

if TYPE_CHECKING:
    from scythe_runtime.store import Store

_NAMED_AT_MOST: Final = 5


def list_runs(
    store: "Store | None" = None, *, experiment: str | None = None
) -> list[tuple[str, ExperimentRunManifest]]:
    """Return the runs of a store with their manifests, the newest last.

    Args:
        store: Where to look; by default as the environment says.
        experiment: Only this one's.
    """
    store = store or store_from_settings()
    found = []
    for name in [experiment] if experiment else store.children(""):
        for version in store.children(f"{name}/"):
            for stamp in store.children(f"{name}/{version}/"):
                layout = RunLayout(f"{name}/{version}/{stamp}")
                if RUN_FOLDER.fullmatch(stamp):
                    try:
                        found.append((layout.run_id, read_manifest(store, layout)))
                    except NotFoundError:  # being allocated right now, or never finished
                        continue
    return sorted(found, key=lambda item: item[0].rsplit("/", 1)[1])


def open_run(
    run: str, *, storage_settings: ScytheStorageSettings | None = None
) -> ExperimentRun[Any, Any]:
    """Return a run by its id.

    Args:
        run: A full id, or a prefix of one: `office`, `office/v1.2.0` (its latest run).
        storage_settings: Where to look; by default as the environment says.

    Raises:
        ExperimentRunNotFoundError: There is none.
    """
    settings = storage_settings or ScytheStorageSettings()
    name, _, rest = run.strip("/").partition("/")
    if not name:
        raise ExperimentRunNotFoundError("''", None, "")
    version_text, _, stamp = rest.partition("/")
    try:
        base: BaseExperiment[Any, Any] = BaseExperiment(
            runnable=UnregisteredExperiment(name=name),
            run_name=name,
            storage_settings=settings,
        )
    except ValidationError:  # no run has such a name
        raise ExperimentRunNotFoundError(name, None, rest) from None
    runs: list[ExperimentRun[Any, Any]] = [
        r
        for v in base.list_versions()
        if not version_text or str(v.version) == version_text
        for r in v.list_runs()
        if r.dt_str.startswith(stamp)
    ]
    found = newest(runs, whole=True)
    if found is None:
        raise ExperimentRunNotFoundError(name, None, rest, hint=_hint(base.store, run.strip("/")))
    base.runnable = _find(found.manifest)
    return found


def _hint(store: "Store", run: str) -> str:
    """Return what may have been meant by a run that is not there."""
    name, _, rest = run.partition("/")
    found = store.children("")
    if name in found:  # the version or the time is wrong, which lies nearest below it
        version = rest.partition("/")[0]
        folders = store.children(f"{name}/")
        inside = f"{name}/{version}/"
        known = (
            [f"{inside}{stamp}" for stamp in store.children(inside)]
            if version in folders
            else [f"{name}/{folder}" for folder in folders]
        )
        return _did_you_mean(run, known)
    if meant := _did_you_mean(name, found):
        return meant
    ids = [run_id for run_id, _ in list_runs(store)]
    return _did_you_mean(run, ids) or (
        f"There are runs of {', '.join(found[:_NAMED_AT_MOST])}."
        if found
        else "There are no runs yet."
    )


def _did_you_mean(text: str, known: list[str]) -> str:
    nearest = get_close_matches(text, known, n=1)
    return f"Did you mean {nearest[0]}?" if nearest else ""


def _find(manifest: ExperimentRunManifest) -> Any:
    """Return a run's experiment: registered already, or by importing the modules that register it."""
    root = repo_root()
    modules = [*experiment_modules(root), *([manifest.task.module] if manifest.task else [])]
    for module in [None, *modules]:
        if module is not None and module != "__main__":
            if str(root) not in sys.path:
                sys.path.insert(0, str(root))
            try:
                importlib.import_module(module)
            except Exception:  # noqa: BLE001, S112 - results can be read without the code, or with a broken one
                continue
        try:
            return ExperimentRegistry.get_runnable(manifest.experiment_name)
        except ExperimentTypeNotFound:
            continue
    return UnregisteredExperiment(name=manifest.experiment_name)
