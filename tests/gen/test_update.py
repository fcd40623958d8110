"""`scythe-gen update` and plain `copier update`: three template versions, three kinds of origin."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from template_versions import (
    VERSIONS,
    Tool,
    commit,
    git,
    install_wheel,
    lines,
    make_source,
    make_wheel_tool,
    run,
)

pytestmark = pytest.mark.xdist_group("updates")  # they share what is slow to make

COPIER = Path(sys.executable).with_name("copier")
IO = "input: {a: {type: number}}\noutput: {b: {type: number}}\n"
OLD, MIDDLE, NEW = VERSIONS

Make = Callable[[str], Path]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a definition."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "io.yaml").write_text(IO)
    return folder


@pytest.fixture(scope="module")
def source(place: Path) -> Path:
    """Return a checkout with three versions of the template."""
    return make_source(place / "source")


@pytest.fixture(scope="module")
def tools(place: Path, source: Path) -> dict[str, Tool]:
    """Return scythe-gen as installed from the wheel of each version."""
    return {version: make_wheel_tool(source, version, place / version) for version in VERSIONS}


@pytest.fixture(scope="module")
def made(place: Path, tools: dict[str, Tool]) -> dict[str, Path]:
    """Return a repository from each wheel but the newest."""
    for version in (OLD, MIDDLE):
        done = tools[version].run("new", f"from-{version}", "--schema", "io.yaml", cwd=place)
        assert done.code == 0, done.err
    return {version: place / f"from-{version}" for version in (OLD, MIDDLE)}


@pytest.fixture
def repository(made: dict[str, Path], tmp_path: Path) -> Make:
    """Return what copies the repository of a version."""

    def copy(version: str) -> Path:
        return shutil.copytree(made[version], tmp_path / made[version].name)

    return copy


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """Change a text in a file that has it."""
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def state(folder: Path) -> str:
    """Return all that git knows of a repository."""
    return git(folder, "status", "--porcelain") + git(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize(("before", "after"), [(OLD, MIDDLE), (OLD, NEW), (MIDDLE, NEW)])
def test_clean_edits_stay(
    repository: Make, tools: dict[str, Tool], before: str, after: str
) -> None:
    """Offline, from a wheel: the scaffold is the newer one, and all that the user did is still there."""
    here = repository(before)
    package = here.name.replace("-", "_").replace(".", "_")
    own = {
        "io.yaml": IO.replace("a:", "c:"),
        f"{package}/task.py": "mine = 1\n",
        f"{package}/sampler.py": "mine = 2\n",
        f"{package}/specs.py": "mine = 3\n",
        "tests/test_task.py": "mine = 4\n",
        "notes.md": "mine\n",
    }
    for name, text in own.items():
        (here / name).write_text(text)
    edit(here, "changed.txt", "line 5\n", "beside the change\n")
    (here / "lost.txt").unlink()
    commit(here, "mine")
    done = tools[after].run("update", cwd=here)
    assert (done.code, done.err) == (0, "")
    assert f"v{before} -> v{after}" in done.out
    expected = lines(f"line 3 of {after}").replace("line 5\n", "beside the change\n")
    assert (here / "changed.txt").read_text() == expected
    assert not (here / "lost.txt").exists()
    passed = VERSIONS[VERSIONS.index(before) + 1 : VERSIONS.index(after) + 1]
    for version in passed:
        assert (here / f"new-in-{version}.txt").is_file()
        assert not (here / f"gone-in-{version}.txt").exists()
    for name, text in own.items():
        assert (here / name).read_text() == text
    specs = (here / package / "_generated" / "specs.py").read_text()
    assert "c: float" in specs
    assert [path.name for path in (here / "vendor").iterdir()] == [
        f"scythe_gen-{after}-py3-none-any.whl"
    ]
    assert f"scythe_gen-{after}-py3-none-any.whl" in (here / "pyproject.toml").read_text()
    assert f'_commit: "v{after}"' in (here / ".copier-answers.yml").read_text()


def test_conflicts_are_named(repository: Make, tools: dict[str, Tool]) -> None:
    """Both sides changed a line, or one deleted what the other edited: exit 1, each file named, none lost."""
    here = repository(OLD)
    edit(here, "changed.txt", "line 3 of 0.1.0\n", "inside the change\n")
    edit(here, f"gone-in-{NEW}.txt", "line 7\n", "mine\n")
    edit(here, "io.yaml", "a:", "c:")
    (here / "README.md").unlink()
    commit(here, "mine")
    done = tools[NEW].run("update", cwd=here)
    assert done.code == 1
    said = done.err.splitlines()
    assert said[0] == "changed.txt: in conflict, changed here and in the template"
    assert said[1] == f"gone-in-{NEW}.txt: kept, edited here and deleted in the template"
    text = (here / "changed.txt").read_text()
    assert "inside the change" in text
    assert f"line 3 of {NEW}" in text
    assert "UU changed.txt" in git(here, "status", "--porcelain")
    assert "mine" in (here / f"gone-in-{NEW}.txt").read_text()
    assert not (here / f"gone-in-{MIDDLE}.txt").exists()
    assert "a: float" in next(here.glob("*/_generated/specs.py")).read_text()  # not derived again


def test_nothing_to_do(repository: Make, tools: dict[str, Tool]) -> None:
    """With the same scythe-gen nothing changes, and it says so."""
    here = repository(OLD)
    before = state(here)
    done = tools[OLD].run("update", here, cwd=here.parent)
    assert done.code == 0
    assert "is up to date: template v0.1.0" in done.out
    assert state(here) == before


def test_the_same_wheel_stays(source: Path, place: Path, tmp_path: Path) -> None:
    """What a checkout has built is what its wheel installs: put together anew it has other bytes, and is not replaced."""
    checkout = tmp_path / "checkout"
    git(place, "clone", "--quiet", source, checkout)  # at its newest: there is nothing newer
    done = Tool(checkout).run("new", tmp_path / "one", "--schema", place / "io.yaml", cwd=tmp_path)
    assert done.code == 0, done.err
    installed = tmp_path / "installed"
    with zipfile.ZipFile(next((tmp_path / "one" / "vendor").iterdir())) as wheel:
        wheel.extractall(installed)
    repacked = Tool(installed).run(
        "new", tmp_path / "two", "--schema", place / "io.yaml", cwd=place
    )
    assert repacked.code == 0, repacked.err
    one, two = (next((tmp_path / name / "vendor").iterdir()) for name in ("one", "two"))
    assert one.name == two.name
    assert one.read_bytes() != two.read_bytes()  # else this tests nothing
    before = state(tmp_path / "one")
    done = Tool(installed).run("update", tmp_path / "one", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "is up to date" in done.out
    assert state(tmp_path / "one") == before


GIT = """\
#!/bin/sh
echo "$*" >> "$CALLS"
case "$(wc -l < "$CALLS"),$*" in
  $AT,*|*--source=HEAD*) [ "$AT" -gt 0 ] && kill -s INT -- "-$(cat "$CALLS.group")" ;;
esac
exec "$REAL" "$@"
"""


def test_ctrl_c_changes_nothing(repository: Make, tools: dict[str, Tool], tmp_path: Path) -> None:
    """At several of the calls of git, and once more while it is undone: all as before, and the next update works."""
    here = repository(OLD)
    real = shutil.which("git")
    assert real
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    script.write_text(GIT)
    script.chmod(0o755)
    calls = tmp_path / "calls"
    env = {"PATH": f"{script.parent}:{os.environ['PATH']}", "REAL": real, "CALLS": str(calls)}

    def update(at: int) -> tuple[int, str]:
        calls.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", "from scythe_gen.cli import main; main()", "update"],
            cwd=here,
            env={**os.environ, **env, "PYTHONPATH": str(tools[NEW].folder), "AT": str(at)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        ) as process:
            calls.with_suffix(".group").write_text(str(process.pid))
            _, err = process.communicate(timeout=100)
        return process.returncode, err

    spare = shutil.copytree(here, tmp_path / "spare")
    assert update(0) == (0, "")
    total = len(calls.read_text().splitlines())
    shutil.rmtree(here)
    spare.rename(here)
    before = state(here)
    for at in (3, total // 2, total * 3 // 4, total - 1, total):
        code, err = update(at)
        assert code == 130, (at, err)
        assert "Traceback" not in err
        assert state(here) == before, at
        assert not (here / ".git" / "index.lock").exists()
    assert update(0) == (0, "")


def test_from_a_checkout(place: Path, source: Path, tmp_path: Path) -> None:
    """A repository made in a checkout goes where the checkout goes, with and without scythe-gen."""
    checkout = tmp_path / "checkout"
    git(place, "clone", "--quiet", "--branch", f"v{OLD}", source, checkout)
    tool = Tool(checkout)
    done = tool.run("new", tmp_path / "one", "--schema", place / "io.yaml", cwd=tmp_path)
    assert done.code == 0, done.err
    edit(tmp_path / "one", "changed.txt", "line 5\n", "mine\n")
    commit(tmp_path / "one", "mine")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    git(checkout, "checkout", "--quiet", f"v{MIDDLE}")
    done = tool.run("update", tmp_path / "one", cwd=tmp_path)
    assert done.code == 0, done.err
    assert f"v{OLD} -> v{MIDDLE}" in done.out
    plain = run(COPIER, "update", "--defaults", cwd=tmp_path / "two")  # copier takes the newest tag
    assert plain.code == 0, plain.err
    for name, version in (("one", MIDDLE), ("two", NEW)):
        expected = lines(f"line 3 of {version}").replace("line 5\n", "mine\n")
        assert (tmp_path / name / "changed.txt").read_text() == expected
    commit(tmp_path / "one", "updated")

    git(checkout, "checkout", "--quiet", f"v{OLD}")
    older = tool.run("update", tmp_path / "one", cwd=tmp_path)
    assert older.code == 2
    assert f"would take it back to v{OLD}. Downgrades are not supported" in older.err

    git(checkout, "checkout", "--quiet", "-b", "broken", f"v{NEW}")
    (checkout / "template" / "bad.txt.jinja").write_text("{{ no such }}")
    commit(checkout, "broken")
    before = state(tmp_path / "one")
    broken = tool.run("update", tmp_path / "one", cwd=tmp_path)
    assert broken.code == 2
    assert "copier could not write the scaffold" in broken.err
    assert state(tmp_path / "one") == before

    checkout.rename(tmp_path / "elsewhere")
    missing = Tool(tmp_path / "elsewhere").run("update", tmp_path / "one", cwd=tmp_path)
    assert missing.code == 2
    assert "there is none any more. Put the checkout of scythe-gen back" in missing.err


def test_from_a_git_url(place: Path, source: Path, tools: dict[str, Tool], tmp_path: Path) -> None:
    """A repository whose scythe-gen came from git goes to that commit, or with copier to the newest tag."""
    installed = {}
    for version in (OLD, MIDDLE):
        folder = shutil.copytree(tools[version].folder, tmp_path / version)
        at = git(source, "rev-parse", f"v{version}").strip()
        origin = {"url": source.as_uri(), "vcs_info": {"vcs": "git", "commit_id": at}}
        info = next(folder.glob("*.dist-info"))
        (info / "direct_url.json").write_text(json.dumps(origin))
        installed[version] = Tool(folder)
    done = installed[OLD].run("new", tmp_path / "one", "--schema", "io.yaml", cwd=place)
    assert done.code == 0, done.err
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    done = installed[MIDDLE].run("update", tmp_path / "one", cwd=tmp_path)
    assert done.code == 0, done.err
    project = (tmp_path / "one" / "pyproject.toml").read_text()
    assert git(source, "rev-parse", f"v{MIDDLE}").strip() in project
    cache = {"COPIER_CACHE_DIR": str(tmp_path / "cache")}
    plain = run(COPIER, "update", "--defaults", cwd=tmp_path / "two", env=cache)
    assert plain.code == 0, plain.err
    for name, version in (("one", MIDDLE), ("two", NEW)):
        assert (tmp_path / name / "changed.txt").read_text() == lines(f"line 3 of {version}")
    answers = tmp_path / "two" / ".copier-answers.yml"
    edit(tmp_path / "two", answers.name, "/source", "/nowhere")
    commit(tmp_path / "two", "another place")
    away = installed[MIDDLE].run("update", tmp_path / "two", cwd=tmp_path)
    assert away.code == 2
    assert "cannot be fetched. Are you online" in away.err


def test_a_source_tree_without_git(
    place: Path, source: Path, tools: dict[str, Tool], tmp_path: Path
) -> None:
    """Its wheel is built all the same, and what it makes is updated by a later wheel with history."""
    bare = tmp_path / "bare"
    git(place, "clone", "--quiet", "--branch", f"v{OLD}", source, bare)
    shutil.rmtree(bare / ".git")
    without = install_wheel(bare, tmp_path / "without")
    done = without.run("new", tmp_path / "one", "--schema", "io.yaml", cwd=place)
    assert done.code == 0, done.err
    done = tools[NEW].run("update", tmp_path / "one", cwd=place)
    assert done.code == 0, done.err
    assert (tmp_path / "one" / "changed.txt").read_text() == lines(f"line 3 of {NEW}")


@pytest.mark.parametrize(
    "trouble", ["dirty", "older", "no git", "no answers", "no origin", "bad io"]
)
def test_mistakes(
    repository: Make, tools: dict[str, Tool], trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear message, exit code 2, and the repository as it was."""
    here = repository(MIDDLE)
    tool = tools[NEW]
    if trouble == "dirty":
        (here / "io.yaml").write_text(IO + "# a comment\n")
        (here / "new.txt").write_text("mine")
        message = "has changes that are not committed:\n   M io.yaml\n  ?? new.txt\nCommit them"
    elif trouble == "older":
        tool = tools[OLD]
        message = "It is older than the repository, or built without"
    elif trouble == "no git":
        shutil.rmtree(here / ".git")
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(here.parent))
        message = "is not in git, and an update is merged by git"
    elif trouble == "no answers":
        (here / ".copier-answers.yml").unlink()
        message = "says which template the repository was made from"
    elif trouble == "no origin":
        (here / ".copier-answers.yml").write_text("name: office\n")
        message = "names no version of a template"
    else:
        (here / "io.yaml").write_text("input: {a: {type: nubmer}}\noutput: {b: {type: number}}\n")
        message = "nubmer"
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    done = tool.run("update", cwd=here)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    after = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert {p: d for p, d in after.items() if p.name != "index"} == {
        p: d for p, d in before.items() if p.name != "index"
    }
