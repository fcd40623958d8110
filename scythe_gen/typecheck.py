"""The user's lines that do not type-check, where mypy is at hand."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_PLAIN: Final = ("--no-error-summary", "--no-color-output", "--no-pretty", "--hide-error-context")


def broken_lines(root: Path, package: str) -> list[str]:
    """Return what mypy says of the package's own modules, a line each: "task.py:12: error: ...".

    The repository's .venv is asked where it has mypy, else the environment that scythe-gen runs in.

    Args:
        root: The repository.
        package: The name of its package.

    Returns:
        Nothing where there is no mypy, or where it cannot run.
    """
    python = mypy_python(root)
    if python is None:
        return []
    try:
        done = subprocess.run(
            [python, "-m", "mypy", *_PLAIN, "--package", package],
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError:
        return []
    derived = f"{package}/_generated/"
    said = [line.replace("\\", "/") for line in done.stdout.splitlines()]
    return [
        line
        for line in said
        if line.startswith(f"{package}/") and ": error: " in line and not line.startswith(derived)
    ]


def mypy_python(root: Path) -> str | None:
    """Return the Python of the repository's environment, or this one, if it has mypy."""
    environment = root / ".venv"
    packages = ("lib/python*/site-packages/mypy", "Lib/site-packages/mypy")
    if any(True for pattern in packages for _ in environment.glob(pattern)):
        candidates = (environment / "bin" / "python", environment / "Scripts" / "python.exe")
        return next((str(path) for path in candidates if path.exists()), None)
    return sys.executable if find_spec("mypy") else None
