"""git, whatever the user's own configuration says."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from scythe_gen.errors import RepositoryError

# Set when a command runs inside a git hook: they would lead into the other repository.
CLEAN: Final = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"}
    | {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_NAMESPACE", "GIT_TEMPLATE_DIR"}
)
# What a user may have set for all repositories and must not change or stop what we do.
PLAIN: Final = (
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", f"core.excludesFile={os.devnull}"),
    *("-c", f"core.attributesFile={os.devnull}"),
    *("-c", "core.autocrlf=false"),
    *("-c", "core.safecrlf=false"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "commit.gpgSign=false"),
)
_NOBODY: Final = ("-c", "user.name=scythe-gen", "-c", "user.email=scythe-gen@localhost")


def run_git(
    *arguments: str | Path,
    cwd: Path,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    stdin: IO[bytes] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Return a finished git command.

    Args:
        arguments: What follows `git`.
        cwd: Where it runs.
        check: Whether a failure is an error.
        env: Variables beside the user's.
        stdin: What it reads; by default nothing.

    Raises:
        RepositoryError: git is not installed; or it failed and `check` is set.
    """
    environment = {name: value for name, value in os.environ.items() if name not in CLEAN}
    try:
        process = subprocess.Popen(
            ["git", *arguments],
            cwd=cwd,
            env=environment | {"GIT_TERMINAL_PROMPT": "0"} | dict(env or {}),
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise RepositoryError("git is not installed. Install it, then try again.") from None
    with process:
        try:
            output, said = process.communicate()
        except BaseException:
            process.terminate()  # killed, as subprocess.run does it, git would leave its lock behind
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, output, said)
    if check and done.returncode:
        raise RepositoryError(
            f"git {_verb(arguments)} failed: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done


def _verb(arguments: tuple[str | Path, ...]) -> str:
    """Return the command's name: the first argument that is no option and no option's value."""
    plain = [str(a) for a, b in zip(arguments, ("", *arguments), strict=False) if b != "-c"]
    return next((argument for argument in plain if not argument.startswith("-")), "")


def first_commit(repository: Path, message: str) -> None:
    """Make a folder a git repository with all its files in one commit.

    Needs no identity of the user; theirs is taken where there is one. Nothing global is changed.
    """
    run_git("init", "--quiet", "--template=", "--initial-branch=main", cwd=repository)
    run_git(*PLAIN, "add", "--all", "--force", cwd=repository)
    known = run_git("var", "GIT_COMMITTER_IDENT", cwd=repository, check=False).returncode == 0
    identity = () if known else _NOBODY
    run_git(
        *PLAIN, *identity, "commit", "--quiet", "--no-verify", "--message", message, cwd=repository
    )
