"""What a run is allocated with: commit, hashes of the code and of the lock file, versions."""

import hashlib
import importlib.util
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scythe_runtime.manifest import Provenance


class ProvenanceReader:
    """Reads what can be read of the surroundings; git answers while the caller goes on.

    Args:
        root: The experiment repository's root.
        module: The task's module.
        main_path: The script, where the task is a script's own.
    """

    def __init__(self, root: Path, module: str, main_path: str | None) -> None:
        self._root = root
        self._module = module
        self._main_path = main_path
        self._git = [
            _start_git(root, "rev-parse", "HEAD"),
            _start_git(root, "status", "--porcelain", "--untracked-files=no"),
        ]

    def read(self, io_spec: bytes) -> Provenance:
        """Return the surroundings, with the hash of that io spec."""
        packages = dict(sorted(_installed()))
        lock = self._root / "uv.lock"
        return Provenance(
            git_commit=(commit := _answer(self._git[0])),
            git_dirty=None if commit is None else bool(_answer(self._git[1])),
            io_hash=hashlib.sha256(io_spec).hexdigest(),
            code_hash=code_hash(self._module, self._main_path),
            lock_hash=hashlib.sha256(
                lock.read_bytes() if lock.is_file() else repr(packages).encode()
            ).hexdigest(),
            python=platform.python_version(),
            packages=packages,
        )


def code_hash(module: str, main_path: str | None) -> str:
    """Return the sha256 of the Python files of a module's top package, or of a script."""
    digest = hashlib.sha256()
    for name, path in sorted(_sources(module, main_path)):
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources(module: str, main_path: str | None) -> Iterator[tuple[str, Path]]:
    if main_path is not None:
        yield Path(main_path).name, Path(main_path)
        return
    spec = importlib.util.find_spec(module.partition(".")[0])
    if spec is None:
        return
    if spec.submodule_search_locations is None:
        if spec.origin and Path(spec.origin).is_file():
            yield Path(spec.origin).name, Path(spec.origin)
        return
    for folder in map(Path, spec.submodule_search_locations):
        for path in folder.rglob("*.py"):
            yield path.relative_to(folder).as_posix(), path


def _installed() -> Iterator[tuple[str, str]]:
    """Yield name and version of each installed package, by the names of their folders alone: 1 ms."""
    for entry in dict.fromkeys(sys.path):
        folder = Path(entry or ".")
        if folder.name not in {"site-packages", "dist-packages"} or not folder.is_dir():
            continue
        for path in folder.glob("*.dist-info"):
            name, _, version = path.name.removesuffix(".dist-info").partition("-")
            yield name.replace("_", "-").lower(), version


def _start_git(root: Path, *arguments: str) -> "subprocess.Popen[str] | None":
    try:
        return subprocess.Popen(
            ["git", "-C", str(root), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError:  # no git here: the run is simply without a commit
        return None


def _answer(process: "subprocess.Popen[str] | None") -> str | None:
    if process is None:
        return None
    try:
        output, _ = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return output.strip() if process.returncode == 0 else None
