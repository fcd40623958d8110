"""Generated repositories, made and installed as a user does, with the checkout gone.

scythe-gen is installed from a wheel (and from git) into an environment of its own. Third-party
packages are lent from this environment where they are not what is tested, which saves minutes.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")

pytestmark = pytest.mark.xdist_group("generated repositories")  # they share what is slow to make

IO = """\
title: Every kind
input:
  r_value: {type: number, minimum: 0.5, maximum: 15, x-unit: m^2 K/W, description: 'The "wall"'}
  storeys: {type: integer, minimum: 1, maximum: 40, default: 3}
  hvac: {enum: [pump, boiler]}
  shaded: {type: boolean}
  start: {type: string, format: date, default: "2024-01-01"}
  offset: {type: [number, "null"], minimum: -1, maximum: 1, default: null}
  corner: {type: array, prefixItems: [{type: number}, {type: number}], items: false, minItems: 2, maxItems: 2, default: [0, 0]}
  layers: {type: array, items: {type: number, exclusiveMinimum: 0}, minItems: 1, default: [0.1]}
  glazing: {type: object, properties: {panes: {type: integer}}, required: [panes], default: {panes: 2}}
  weather: {format: file-reference, x-sample: {dist: files, glob: "artifacts/weather/*.csv"}}
output:
  heat: {type: number, x-unit: kWh}
  report: {format: file-reference}
  hourly: {x-frame: {hour: {type: integer}, heat: {type: number}}}
"""

TASK = '''"""A task."""

from pathlib import Path

import pandas as pd
from scythe_runtime import ExperimentRegistry

from .specs import Input, Output


@ExperimentRegistry.Register()
def simulate(input_spec: Input, tempdir: Path) -> Output:
    """Return something that depends on the inputs."""
    rows = Path(str(input_spec.weather)).read_text().split()
    report = tempdir / "report.csv"
    report.write_text("done")
    hourly = pd.DataFrame({"hour": [0], "heat": [input_spec.r_value]})
    return Output(
        heat=input_spec.r_value * len(rows), report=report, dataframes={"hourly": hourly}
    )
'''


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    def run(self, *command: str | Path, cwd: Path, code: int = 0) -> str:
        """Return what a program of it prints; fail unless it ends with that exit code."""
        variables = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "SCYTHE_", "COV_"))
        }
        done = subprocess.run(
            [self.folder / "bin" / command[0], *command[1:]],
            cwd=cwd,
            env=variables
            | {"VIRTUAL_ENV": str(self.folder), "MYPY_CACHE_DIR": str(self.folder.parent / "mypy")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{command}:\n{done.stdout}"
        return done.stdout

    def install(self, *arguments: str | Path) -> None:
        """Install into it with uv."""
        uv("pip", "install", "--python", self.folder, *arguments)


def uv(*arguments: str | Path) -> None:
    """Run uv; what it prints is shown when it fails."""
    done = subprocess.run(
        [UV, "--quiet", *arguments],
        env={**os.environ, "UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def environment(folder: Path, *, lend: bool) -> Environment:
    """Return a new environment; with `lend`, this one's third-party packages can be imported in it."""
    uv("venv", "--python", sys.executable, folder)
    if lend:
        # A path in a .pth file does not have its own .pth files read: the checkout stays unknown.
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        pth = folder / "lib" / version / "site-packages" / "lent.pth"
        pth.write_text(sysconfig.get_path("purelib"))
    return Environment(folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder outside the checkout."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def source(place: Path) -> Path:
    """Return a copy of the checkout's sources, committed."""
    folder = place / "source"
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache")
    for name in ("scythe_gen", "scythe_runtime", "template", "schemas"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=ignored)
    for name in ("copier.yml", "pyproject.toml", "hatch_build.py", "README.md", "CHANGELOG.md"):
        shutil.copy(CHECKOUT / name, folder)
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "all")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def locked(place: Path) -> Path:
    """Return the locked versions as constraints, so that nothing is resolved anew."""
    path = place / "constraints.txt"
    text = subprocess.run(
        [UV, "export", "--frozen", "--all-groups", "--no-hashes", "--no-emit-project", "--quiet"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def tool(place: Path, source: Path) -> Environment:
    """Return an environment with scythe-gen from a wheel, whose sources are gone."""
    copy = place / "for-the-wheel"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns(".git"))
    here = Environment(Path(sys.executable).parents[1])
    here.run("python", "-m", "hatchling", "build", "-t", "wheel", "-d", place / "dist", cwd=copy)
    made = environment(place / "tool", lend=True)
    made.install("--no-deps", *(place / "dist").glob("*.whl"))
    shutil.rmtree(copy)
    shutil.rmtree(place / "dist")
    return made


@pytest.fixture(scope="module")
def office(place: Path, tool: Environment) -> Path:
    """Return a repository with every kind of field and a stub."""
    (place / "io.yaml").write_text(IO)
    tool.run("scythe-gen", "new", "office", "--schema", "io.yaml", cwd=place)
    return place / "office"


@pytest.fixture(scope="module")
def user(place: Path, office: Path, locked: Path) -> Environment:
    """Return a user's environment with the repository, its dependencies and its development tools."""
    made = environment(place / "user", lend=False)
    made.install("-c", locked, "--editable", office, "--group", f"{office}/pyproject.toml:dev")
    return made


def test_stub_repository_passes_its_own_checks(office: Path, user: Environment) -> None:
    """Lint, format, strict types, drift and tests are clean; the tests skip what waits for the task."""
    user.run("ruff", "check", "--no-cache", cwd=office)
    user.run("ruff", "format", "--check", "--no-cache", cwd=office)
    user.run("mypy", cwd=office)
    user.run("scythe-gen", "check", cwd=office)
    assert "1 skipped" in user.run("pytest", cwd=office)


def test_stub_fails_loudly_and_a_written_task_runs(office: Path, user: Environment) -> None:
    """Before the task is written there is no number; afterwards there are files, frames and scalars."""
    weather = office / "artifacts" / "weather"
    weather.mkdir()
    (weather / "a b.csv").write_text("1 2 3")
    assert "1 skipped" in user.run("pytest", cwd=office)
    stub = user.run("python", "allocate.py", "--n", "3", cwd=office, code=1)
    assert "still the stub" in stub
    (office / "office" / "task.py").write_text(TASK)
    assert "1 passed" in user.run("pytest", cwd=office)
    user.run("ruff", "check", "--no-cache", cwd=office)
    printed = user.run("python", "allocate.py", "--n", "3", cwd=office)
    assert "3 succeeded, 0 failed" in printed
    run_id = re.search(r"run (office/\S+)", printed)
    assert run_id
    final = office / "runs" / run_id[1] / "final"
    assert {path.name for path in final.iterdir()} >= {"scalars.pq", "hourly.pq"}


def test_an_edit_of_the_definition_changes_only_what_is_derived(
    place: Path, tool: Environment, user: Environment
) -> None:
    """Both commands work beside uncommitted work, which stays as it is."""
    (place / "small.yaml").write_text("input: {a: {type: number}}\noutput: {b: {type: number}}\n")
    tool.run("scythe-gen", "new", "edited", "--schema", "small.yaml", cwd=place)
    repository = place / "edited"
    (repository / "edited" / "task.py").write_text("mine = 1\n")
    definition = repository / "io.yaml"
    definition.write_text(definition.read_text().replace("a: {type: number}", "c: {type: integer}"))
    said = user.run("scythe-gen", "check", cwd=repository, code=1)
    assert "edited/_generated/specs.py: stale" in said
    assert "input.a was removed" in user.run("scythe-gen", "generate", cwd=repository)
    user.run("scythe-gen", "check", "edited", cwd=place)
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.split()
    assert set(changed) - {"M"} == {
        "io.yaml",
        "edited/task.py",
        "edited/_generated/FILES",
        "edited/_generated/definition.json",
        "edited/_generated/fields.py",
        "edited/_generated/specs.py",
    }
    assert (repository / "edited" / "task.py").read_text() == "mine = 1\n"


def test_the_example_runs_from_an_installed_wheel(
    place: Path, tool: Environment, user: Environment
) -> None:
    """The room example passes its own tests and gives results, under another name."""
    tool.run("scythe-gen", "new", "my-room", "--example", "room", cwd=place)
    user.install("--no-deps", "--editable", place / "my-room")
    user.run("ruff", "check", "--no-cache", cwd=place / "my-room")
    user.run("mypy", cwd=place / "my-room")
    user.run("pytest", "-k", "one_sample or sun", cwd=place / "my-room")
    assert "10 succeeded" in user.run("python", "allocate.py", "--n", "10", cwd=place / "my-room")


def test_plain_pip_installs_it_from_anywhere(place: Path, office: Path) -> None:
    """With pip alone one finds the carried wheel, whatever the working directory."""
    made = environment(place / "by-pip", lend=True)
    made.run(
        *("python", "-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation"),
        office,
        cwd=place,
    )
    where = made.run("python", "-c", "import scythe_gen; print(scythe_gen.__file__)", cwd=place)
    assert where.startswith(str(made.folder))


def test_from_git_it_names_url_and_commit(place: Path, source: Path) -> None:
    """With scythe-gen from git, the repository asks for that commit, carries no wheel, and installs."""
    served = place / "served"
    source.rename(served)
    url = f"git+{served.as_uri()}"
    tool = environment(place / "tool-from-git", lend=True)
    tool.install("--no-deps", "--no-build-isolation", f"scythe-gen @ {url}")
    tool.run("scythe-gen", "new", "from-git", "--example", "borehole", cwd=place)
    repository = place / "from-git"
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=served, check=True, capture_output=True, text=True
    ).stdout.strip()
    assert f"scythe-gen @ {url}@{commit}" in (repository / "pyproject.toml").read_text()
    assert not (repository / "vendor").exists()
    answers = (repository / ".copier-answers.yml").read_text()
    assert f'_commit: "{commit}"' in answers
    assert f'_src_path: "{url}"' in answers
    user = environment(place / "user-from-git", lend=True)
    user.install("--no-build-isolation", "--no-deps", f"scythe-gen @ {url}@{commit}")
    user.install("--no-build-isolation", "--no-deps", repository)
    user.run("scythe", "run", "-n", "1", cwd=repository)
