"""The code blocks of scythe-engine's README and guide, run after replacing the import name."""

import asyncio
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
import yaml
from seed_tasks import BuildingSimulationInput, MyInput, MyOutput, simulate_cell, simulate_energy

from scythe_runtime.experiments import BaseExperiment, SemVer
from scythe_runtime.scatter_gather import RecursionMap, ScatterGatherResult


def sample_buildings(n):
    """Return buildings as the README samples them: a frame first, then models; files as Path and as text."""
    generator = np.random.default_rng(1)
    weather = [Path(name) for name in generator.choice(sorted(Path("artifacts").glob("*.epw")), n)]
    frame = pd.DataFrame(
        {
            "r_value": generator.uniform(0, 15, size=n),
            "lpd": generator.uniform(0, 20, size=n),
            "setpoint": generator.uniform(12, 30, size=n),
            "economizer": generator.choice(["NoEconomizer", "DifferentialDryBulb"], size=n),
            "weather_file": weather,
            "design_day_file": [f"artifacts/{name.stem}.ddy" for name in weather],
            "experiment_id": "placeholder",
            "sort_index": list(range(n)),
        }
    )
    return [BuildingSimulationInput.model_validate(row.to_dict()) for _, row in frame.iterrows()]


def sample_cells(n):
    """Return cells as the guide samples them."""
    generator = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "temperature": generator.uniform(200, 400, size=n),
            "pressure": generator.uniform(1e5, 1e6, size=n),
            "material": generator.choice(["steel", "aluminum", "copper"], size=n),
            "experiment_id": "placeholder",
            "sort_index": range(n),
        }
    )
    return [MyInput.model_validate(row.to_dict()) for _, row in frame.iterrows()]


@pytest.fixture(scope="module")
def readme(tmp_path_factory):
    """Run the README's ten buildings; return the run, its result, and its folder."""
    root = tmp_path_factory.mktemp("readme")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("SCYTHE_SLOTS", "2")
        (root / "artifacts").mkdir()
        for k, city in enumerate(("Boston Logan", "Los Angeles")):
            (root / "artifacts" / f"{city}.epw").write_text("\n".join(map(str, range(k, k + 24))))
            (root / "artifacts" / f"{city}.ddy").write_text(f"{k}.5\n")
        experiment = BaseExperiment(experiment=simulate_energy)
        run, ref = experiment.allocate(sample_buildings(10), version="bumpminor")
        yield run, ref.result(), root / "runs" / run.experiment_id


def test_readme_run_directory(readme):
    """The run's folder is as the README draws it."""
    run, result, folder = readme
    assert (result.succeeded, result.failed) == (10, 0)
    assert run.experiment_id.startswith("scythe_experiment_simulate_energy/v1.0.0/")
    entries = {path.name for path in folder.iterdir()}
    assert entries - {"logs"} == {
        *("manifest.yml", "experiment_io_spec.yml", "input_artifacts.yml", "specs.pq"),
        *("artifacts", "scatter-gather", "final", "results"),
    }
    names = {
        path.relative_to(folder / "artifacts").as_posix() for path in folder.glob("artifacts/*/*")
    }
    assert names == {
        *("weather_file/Boston Logan.epw", "weather_file/Los Angeles.epw"),
        *("design_day_file/Boston Logan.ddy", "design_day_file/Los Angeles.ddy"),
    }
    assert {p.name for p in (folder / "scatter-gather").iterdir()} >= {"input", "output"}
    tables = {path.stem for path in folder.glob("final/*.pq")}
    assert tables == {"scalars", "result_file_refs", "errors", "monthly"}
    assert len(list(folder.glob("results/timeseries/*.pq"))) == 10


def test_readme_tables(readme):
    """Outputs are columns, indexed by the inputs; files are a table of URIs with the same index."""
    _, result, folder = readme
    scalars = pd.read_parquet(folder / "final/scalars.pq")
    assert list(scalars.columns) == ["heating", "lighting"]
    assert {"experiment_id", "sort_index", "root_workflow_run_id", "r_value", "lpd"} <= set(
        scalars.index.names
    )
    assert scalars.index.get_level_values("setpoint").tolist() == [
        spec.setpoint for spec in sample_buildings(10)
    ]
    files = pd.read_parquet(str(result.uris["result_file_refs"]))
    assert files.index.equals(scalars.index)
    for uri, heating in zip(files["timeseries"], scalars["heating"], strict=True):
        hours = pd.read_parquet(Path(unquote(urlsplit(uri).path)))
        assert hours["heating"].sum() == pytest.approx(heating)
    monthly = pd.read_parquet(folder / "final/monthly.pq")
    assert monthly.index.get_level_values("sort_subindex").tolist() == [0, 1] * 10


def test_readme_records(readme):
    """Manifest, list of artifacts and io spec say what the README's say."""
    run, result, folder = readme
    manifest = yaml.safe_load((folder / "manifest.yml").read_text())
    assert manifest["experiment_id"] == run.experiment_id
    assert manifest["experiment_name"] == "scythe_experiment_simulate_energy"
    for key, name in (
        ("input_artifacts", "input_artifacts.yml"),
        ("io_spec", "experiment_io_spec.yml"),
        ("specs_uri", "specs.pq"),
    ):
        assert manifest[key] == (folder / name).as_uri()
    root = pd.read_parquet(folder / "final/scalars.pq").index.get_level_values(
        "root_workflow_run_id"
    )
    assert root.unique().tolist() == [manifest["workflow_run_id"]]
    artifacts = yaml.safe_load((folder / "input_artifacts.yml").read_text())["files"]
    assert sorted(artifacts["weather_file"]) == sorted(
        path.as_uri() for path in folder.glob("artifacts/weather_file/*")
    )
    schema = yaml.safe_load((folder / "experiment_io_spec.yml").read_text())
    assert schema["title"] == "ExperimentIO"
    assert schema["required"] == ["input", "output"]
    described = schema["$defs"]["BuildingSimulationInput"]
    assert described["properties"]["r_value"] == {
        "description": "The R-Value of the building [m2K/W]",
        "maximum": 15,
        "minimum": 0,
        "title": "R Value",
        "type": "number",
    }
    assert set(described["required"]) == {
        *("experiment_id", "sort_index", "r_value", "lpd", "setpoint", "economizer"),
        *("weather_file", "design_day_file"),
    }
    assert described["additionalProperties"] is True
    formats = {o.get("format") for o in described["properties"]["weather_file"]["anyOf"]}
    assert {"uri", "path"} <= formats
    assert "storage_settings" not in described["properties"]
    assert isinstance(result, ScatterGatherResult)


def test_guide_allocations(here):
    """The guide's allocations, from naming a run to a tree: each version as its table says."""
    experiment = BaseExperiment(runnable=simulate_cell, run_name="custom_name")
    found = []
    for options in (
        {"version": "bumpminor", "recursion_map": RecursionMap(factor=10, max_depth=1)},
        {"version": "bumpminor"},
        {"version": "bumpminor", "recursion_map": RecursionMap(factor=100, max_depth=2)},
        {"version": SemVer(major=2, minor=0, patch=0)},
    ):
        run, ref = experiment.allocate(sample_cells(40), **options)
        assert ref.result().succeeded == 40
        found.append(run.experiment_id.split("/")[:2])
    assert found == [["custom_name", v] for v in ("v1.0.0", "v1.1.0", "v1.2.0", "v2.0.0")]
    assert ref.workflow_run_id == run.manifest.workflow_run_id


def test_guide_single_spec(here):
    """One spec goes around the tree; its result is the function's value, waited for either way."""
    experiment = BaseExperiment(runnable=simulate_cell)
    spec = MyInput(
        temperature=300.0,
        pressure=1e5,
        material="steel",
        experiment_id="placeholder",
        sort_index=0,
    )
    run, ref = experiment.allocate(spec, version="bumpminor")
    assert ref.result() == MyOutput(strain=0.003)
    assert asyncio.run(ref.aio_result()) == MyOutput(strain=0.003)
    assert (here / "runs" / run.experiment_id / "workflow_spec.yml").is_file()
    assert spec.experiment_id == run.experiment_id
