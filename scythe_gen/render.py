"""Scaffold in, scaffold forward. The one home of copier."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import copy2, copytree
from typing import Final

from scythe_gen.errors import RepositoryError
from scythe_gen.git import CLEAN
from scythe_gen.resources import resource

ANSWERS: Final = ".copier-answers.yml"
_REFUSED: Final = 3
_PATIENCE_S: Final = 5.0


@contextmanager
def scaffold(into: Path, answers: Mapping[str, str]) -> Iterator[None]:
    """Write the scaffold of a repository while the body runs; it is there when the body has ended.

    A process of its own does it: importing copier takes about as long as importing the generator of the
    specs, and so one does not wait for the other.

    Args:
        into: The repository's folder; made if it is not there.
        answers: What copier.yml asks for; few scalars, never the definition.
    """
    with _copier("new", into, answers) as process:
        yield
        output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(
            f"copier could not write the scaffold:\n{output.decode(errors='replace')}"
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """A template in git.

    Attributes:
        url: Where it is, as copier names it in the answers but for `git+`.
        mirror: The git repository that has it on this machine, and is read instead.
    """

    url: str
    mirror: Path


def merge_scaffold(
    repository: Path, answers: Mapping[str, str], origin: Origin, commit: str
) -> None:
    """Merge another version of the template into a repository, as `copier update` does.

    Where both sides changed the same lines, the file has conflict markers and is unmerged in git's index.

    Args:
        repository: Its folder; all files are committed.
        answers: What changes of the answers.
        origin: What its answers name.
        commit: The version to go to.

    Raises:
        RepositoryError: copier refuses.
    """
    _read_mirror(origin, "update", repository, answers, commit)


def render_version(into: Path, answers: Mapping[str, str], origin: Origin, commit: str) -> None:
    """Write the scaffold as a version of the template has it."""
    _read_mirror(origin, "copy", into, answers, commit, origin.url)


def _read_mirror(
    origin: Origin, verb: str, folder: Path, answers: Mapping[str, str], *more: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="scythe-copier-") as cache:
        count = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
        here = {
            "COPIER_CACHE_DIR": cache,
            "GIT_CONFIG_COUNT": str(count + 1),
            f"GIT_CONFIG_KEY_{count}": f"url.{origin.mirror}.insteadOf",
            f"GIT_CONFIG_VALUE_{count}": origin.url,
        }
        with _copier(verb, folder, answers, *more, env=here) as process:
            output, _ = process.communicate()
    said = output.decode(errors="replace").strip()
    if process.returncode == _REFUSED:
        raise RepositoryError(f"copier cannot update {folder}: {said}")
    if process.returncode:
        raise RepositoryError(f"copier could not write the scaffold:\n{said}")


@contextmanager
def _copier(
    verb: str,
    folder: Path,
    answers: Mapping[str, str],
    *more: str,
    env: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield the process that runs copier; it does not outlive a body that fails."""
    command = [sys.executable, "-P", "-m", __name__, verb, str(folder)]
    command += [json.dumps(dict(answers)), *more]
    clean = {name: value for name, value in os.environ.items() if name not in CLEAN}
    process = None
    try:
        with _held_back():
            process = subprocess.Popen(
                command,
                env=clean | dict(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group that can be ended as one, the git that copier calls too
            )
        yield process
    except BaseException:
        if process:
            _end(process)
        raise
    finally:
        if process and process.stdout:
            process.wait()
            process.stdout.close()


@contextmanager
def _held_back() -> Iterator[None]:
    """Hold Ctrl-C back while a program is started: it would go on, and nobody would know of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = []
    before = signal.signal(signal.SIGINT, lambda *got: caught.append(got))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught:
        raise KeyboardInterrupt


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process with all that it started, so that nothing writes any more; first kindly, for their locks."""
    if not hasattr(os, "killpg"):
        process.kill()
        return
    deadline = time.monotonic() + _PATIENCE_S
    with suppress(ProcessLookupError):  # raised when none of the group is left
        os.killpg(process.pid, signal.SIGINT)
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)


def _render(into: Path, answers: Mapping[str, str]) -> None:
    import copier

    with tempfile.TemporaryDirectory(prefix="scythe-template-") as name:
        source = Path(name)
        # A copy outside any git work tree: copier would clone the whole checkout otherwise.
        copy2(resource("copier.yml"), source)
        copytree(resource("template"), source / "template")
        copier.run_copy(
            str(source), into, data=dict(answers), defaults=True, overwrite=True, quiet=True
        )


def _copy(into: Path, answers: Mapping[str, str], commit: str, url: str) -> None:
    import copier

    # git+ in front, else copier takes a file: URL for the name of a folder
    source = url if Path(url).is_dir() else f"git+{url}"
    copier.run_copy(source, into, data=dict(answers), vcs_ref=commit, defaults=True, quiet=True)


def _merge(repository: Path, answers: Mapping[str, str], commit: str) -> None:
    import copier
    from copier.errors import UserMessageError

    try:
        copier.run_update(
            repository,
            data=dict(answers),
            vcs_ref=commit,
            defaults=True,
            overwrite=True,
            quiet=True,
            conflict="inline",
        )
    except UserMessageError as error:
        print(error)  # noqa: T201 - what the other process reads
        sys.exit(_REFUSED)


def record_origin(repository: Path, url: str | None, commit: str | None) -> None:
    """Write into the answers where updates of the scaffold come from, in place of where it was copied from.

    Args:
        repository: The repository's folder.
        url: A git URL or the folder of a checkout; None where the template has no history.
        commit: What the template was at.
    """
    path = repository / ANSWERS
    lines = path.read_text("utf-8").splitlines()
    origin = [f"_commit: {json.dumps(commit)}", f"_src_path: {json.dumps(url)}"]
    kept = [line for line in lines if not line.startswith(("_src_path:", "_commit:"))]
    first = next(number for number, line in enumerate(kept) if not line.startswith("#"))
    if url and commit:
        kept[first:first] = origin
    path.write_text("\n".join([*kept, ""]), "utf-8")


if __name__ == "__main__":
    acts: dict[str, Callable[..., None]] = {"new": _render, "update": _merge, "copy": _copy}
    acts[sys.argv[1]](Path(sys.argv[2]), json.loads(sys.argv[3]), *sys.argv[4:])
