"""Three versions of the template, made from the one that is here, and scythe-gen at each of them."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
VERSIONS = ("0.1.0", "0.2.0", "0.3.0")

_IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false")
_MAIN = "from scythe_gen.cli import main; main()"


@dataclass(frozen=True)
class Done:
    """A finished program."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Tool:
    """scythe-gen from a folder: an unpacked wheel, or a checkout."""

    folder: Path

    def run(self, *arguments: str | Path, cwd: Path, env: dict[str, str] | None = None) -> Done:
        """Return what a command of it prints, and its exit code."""
        command = [sys.executable, "-c", _MAIN, *arguments]
        return run(*command, cwd=cwd, env={"PYTHONPATH": str(self.folder)} | (env or {}))


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> Done:
    """Return a finished program."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def git(folder: Path, *arguments: str | Path) -> str:
    """Return what git prints; fail when it fails."""
    done = run("git", *_IDENTITY, *arguments, cwd=folder)
    assert done.code == 0, done.err
    return done.out


def commit(folder: Path, message: str) -> None:
    """Commit all there is."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def lines(third: str = "line 3") -> str:
    """Return a text of twelve lines."""
    return "".join(f"{third if n == 3 else f'line {n}'}\n" for n in range(1, 13))


def make_source(folder: Path) -> Path:
    """Return a checkout of scythe-gen with three versions; each changes, adds and deletes a file."""
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache")
    for name in ("scythe_gen", "scythe_runtime", "template", "schemas"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=ignored)
    for name in ("copier.yml", "pyproject.toml", "hatch_build.py", "README.md", "CHANGELOG.md"):
        shutil.copy(CHECKOUT / name, folder)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for version in VERSIONS:
        _write_version(folder, version)
        commit(folder, f"template {version}")
        git(folder, "tag", f"v{version}")
    return folder


def _write_version(folder: Path, version: str) -> None:
    template = folder / "template"
    project = folder / "pyproject.toml"
    before = f"0.{int(version[2]) - 1}.0"
    project.write_text(
        project.read_text().replace(f'version = "{before}"', f'version = "{version}"')
    )
    (template / "changed.txt").write_text(lines(f"line 3 of {version}"))
    (template / "lost.txt").write_text(lines(f"line 3 of {version}"))
    (template / f"new-in-{version}.txt").write_text("new\n")
    if version == VERSIONS[0]:
        for later in VERSIONS[1:]:
            (template / f"gone-in-{later}.txt").write_text(lines())
    else:
        (template / f"gone-in-{version}.txt").unlink()


def make_wheel_tool(source: Path, version: str, folder: Path) -> Tool:
    """Return scythe-gen as a wheel of that version installs it."""
    here = folder.with_name(f"{folder.name}-source")
    git(source, "clone", "--quiet", "--branch", f"v{version}", source, here)
    tool = install_wheel(here, folder)
    shutil.rmtree(here)
    return tool


def install_wheel(source: Path, folder: Path) -> Tool:
    """Return scythe-gen as the wheel of a source tree installs it."""
    built = folder.with_name(f"{folder.name}-dist")
    done = run(
        *(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", built), cwd=source
    )
    assert done.code == 0, done.err
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    shutil.rmtree(built)
    return Tool(folder)
