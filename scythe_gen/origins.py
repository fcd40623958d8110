"""Where the scaffold of a repository comes from, as a git repository on this machine.

There are three kinds of origin, as `_src_path` of the answers names them: the template that an installed
wheel carries (CARRIED), a git URL (`git+...`), and the folder of a checkout.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from scythe_gen.errors import RepositoryError
from scythe_gen.git import run_git
from scythe_gen.history import BUNDLE, CARRIED, write_bundle
from scythe_gen.resources import checkout, resource
from scythe_gen.version import tool_version

_GIT: Final = "git+"


@contextmanager
def carried_template() -> Iterator[Path]:
    """Yield a bare git repository with the template of the running scythe-gen at its HEAD."""
    with tempfile.TemporaryDirectory(prefix="scythe-origin-") as name:
        bundle = Path(name, BUNDLE)
        if checkout() is None and resource(BUNDLE).is_file():
            shutil.copy(resource(BUNDLE), bundle)
        else:
            write_bundle(resource("copier.yml").parent, tool_version(), bundle)
        yield _clone(str(bundle), Path(name, "template.git"))


@contextmanager
def template_of(origin: str) -> Iterator[Path]:
    """Yield the git repository with the template that an origin names.

    Raises:
        RepositoryError: It cannot be had.
    """
    if origin == CARRIED:
        with carried_template() as found:
            yield found
    elif origin.startswith(_GIT):
        with tempfile.TemporaryDirectory(prefix="scythe-origin-") as name:
            try:
                found = _clone(git_url(origin), Path(name, "template.git"))
            except RepositoryError as error:
                raise RepositoryError(
                    f"{error}\nThe template of this repository comes from {git_url(origin)}, which cannot be "
                    "fetched. Are you online, and may you read it?"
                ) from None
            yield found
    else:
        folder = Path(origin).expanduser()
        if not (folder / "copier.yml").is_file():
            raise RepositoryError(
                f"the template of this repository came from {origin}, and there is none any more. Put the "
                "checkout of scythe-gen back, or write its new place as _src_path into .copier-answers.yml "
                "and commit that."
            )
        yield folder


def git_url(origin: str) -> str:
    """Return an origin as git takes it."""
    return origin.removeprefix(_GIT)


def commit_of(template: Path, version: str) -> str | None:
    """Return the full commit of a version (a tag, a commit), or None if the template has no such version."""
    if version.startswith("-"):
        return None
    done = run_git(
        "rev-parse", "--verify", "--quiet", f"{version}^{{commit}}", cwd=template, check=False
    )
    return done.stdout.strip() or None


def newest(template: Path) -> str:
    """Return the newest released tag of a template, and HEAD where there is none, as copier does."""
    released = {v: tag for v, tag in _versions(template).items() if not v.is_prerelease}
    return released[max(released)] if released else "HEAD"


def version_name(template: Path, commit: str) -> str:
    """Return how a version is recorded: its tag where it has one, else the full commit."""
    versions = _versions(template, "--points-at", commit)
    return versions[max(versions)] if versions else commit


def shown_version(template: Path, commit: str) -> str:
    """Return a version for people: its tag, or the nearest tag and a short commit."""
    return run_git("describe", "--tags", "--always", commit, cwd=template).stdout.strip()


def _clone(source: str, into: Path) -> Path:
    run_git("clone", "--quiet", "--bare", "--", source, into, cwd=into.parent)
    return into


def _versions(template: Path, *options: str) -> dict[Version, str]:
    """Return the tags that are versions (PEP 440); others do not count, as with copier."""
    found = {}
    for tag in run_git("tag", "--list", *options, cwd=template).stdout.splitlines():
        with suppress(InvalidVersion):
            found[Version(tag)] = tag
    return found
