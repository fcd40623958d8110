"""A repository moved to a newer template: merged, then derived again. Undone as a whole when it fails.

The scaffold goes to the template of the running scythe-gen where it came from there, else to the newest
version at its origin; and the repository asks for the running scythe-gen from then on.
"""

import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from scythe_gen.document import read_document
from scythe_gen.errors import RepositoryError
from scythe_gen.generate import derived_files, package_of, write_derived
from scythe_gen.git import PLAIN, run_git
from scythe_gen.history import CARRIED
from scythe_gen.origins import (
    commit_of,
    git_url,
    newest,
    shown_version,
    template_of,
    version_name,
)
from scythe_gen.parse import parse
from scythe_gen.render import ANSWERS, Origin, merge_scaffold, record_origin, render_version
from scythe_gen.resources import checkout
from scythe_gen.vendor import Source, vendor, wheel_content
from scythe_gen.version import tool_version


@dataclass(frozen=True, slots=True)
class Update:
    """What an update did; nothing is committed.

    Attributes:
        before: The template's version that the repository had.
        after: And has now.
        changes: What git says of the files, a line each ("M  pyproject.toml").
        conflicts: Files in which both sides changed the same lines; they have conflict markers.
        kept: Files that were edited here and deleted in the template; they are as they were. With any
            of these two, nothing has been derived again.
    """

    before: str
    after: str
    changes: tuple[str, ...]
    conflicts: tuple[str, ...]
    kept: tuple[str, ...]


def update_repository(root: Path) -> Update:
    """Merge the newer template into a repository, then derive from io.yaml again.

    Args:
        root: The repository; all its files are committed.

    Raises:
        RepositoryError: It cannot be updated. It is as it was before.
        DefinitionError: io.yaml has problems. Nothing has been touched.
    """
    root = root.absolute()
    package = package_of(root)
    model = parse(read_document(root / "io.yaml"))
    answers = _answers(root)
    origin = answers["_src_path"]
    _refuse_dirty(root)
    with (
        tempfile.TemporaryDirectory(prefix="scythe-update-") as name,
        template_of(origin) as template,
    ):
        source = vendor(Path(name))
        old, new = _versions(template, origin, answers["_commit"], source)
        from_here = Origin(git_url(origin), template)
        with _undone_on_failure(root):
            asked = {"requirement": source.requirement, "wheel": source.wheel}
            merge_scaffold(root, asked, from_here, new)
            kept = _keep_edited(root, Path(name), answers, from_here, old)
            same = answers["_commit"] if old == new else None  # as commit or as tag: nothing is new
            record_origin(root, origin, same or version_name(template, new))
            _swap_wheel(root / "vendor", Path(name, source.wheel) if source.wheel else None)
            conflicts = _git_lines(root, "diff", "--name-only", "--relative", "--diff-filter=U")
            if not conflicts and not kept:
                write_derived(root, derived_files(model, package))
            return Update(
                before=shown_version(template, old),
                after=shown_version(template, new),
                changes=_git_lines(root, "status", "--short", "--", "."),
                conflicts=conflicts,
                kept=kept,
            )


def _answers(root: Path) -> dict[str, str]:
    """Return the repository's answers; where its template comes from, and the version, are among them.

    Raises:
        RepositoryError: The repository does not say.
    """
    path = root / ANSWERS
    try:
        answers = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
        found = {str(key): str(value) for key, value in answers.items()}
        return {"_src_path": found["_src_path"], "_commit": found["_commit"], **found}
    except FileNotFoundError:
        raise RepositoryError(
            f"{path} is not there: it says which template the repository was made from. "
            f"Bring it back: git checkout HEAD -- {ANSWERS}"
        ) from None
    except (KeyError, AttributeError, ValueError, OSError, YAMLError):
        raise RepositoryError(
            f"{path} names no version of a template (_src_path and _commit). The repository was made from a "
            "template that was not committed, or the file was edited: see what git has of it with "
            f"git log -p {ANSWERS}"
        ) from None


def _refuse_dirty(root: Path) -> None:
    """Raise unless all is committed, so that an update can be looked at, and undone."""
    status = run_git("status", "--porcelain", "--", ".", cwd=root, check=False)
    if status.returncode:
        raise RepositoryError(
            f"{root} is not in git, and an update is merged by git. Commit it first: "
            "git init && git add --all && git commit -m 'Before the update'"
        )
    lines = status.stdout.splitlines()
    if lines:
        some = "".join(f"\n  {line}" for line in lines[:10]) + ("\n  ..." if lines[10:] else "")
        raise RepositoryError(
            f"{root} has changes that are not committed:{some}\nCommit them, or put them aside with "
            "git stash -u, and update again."
        )


def _versions(template: Path, origin: str, recorded: str, source: Source) -> tuple[str, str]:
    """Return the commits of the template to go from and to.

    Raises:
        RepositoryError: The repository's is not there, or newer.
    """
    if origin == CARRIED or checkout() == template:
        target = "HEAD"
    elif source.template_url == origin and source.template_commit:
        target = source.template_commit
    else:
        target = newest(template)
    old, new = commit_of(template, recorded), commit_of(template, target)
    place = f"scythe-gen {tool_version()}" if origin == CARRIED else git_url(origin)
    cure = "Install the newer scythe-gen, and update with that."
    if new is None:
        raise RepositoryError(f"{place} has no version {target} of the template.")
    if old is None:
        raise RepositoryError(
            f"the repository has version {recorded} of the template, and {place} does not know that: its newest "
            f"is {shown_version(template, new)}. It is older than the repository, or built without the "
            f"template's history. {cure}"
        )
    ancestor = run_git("merge-base", "--is-ancestor", new, old, cwd=template, check=False)
    if old != new and ancestor.returncode == 0:
        raise RepositoryError(
            f"the repository has version {shown_version(template, old)} of the template, and {place} would take it "
            f"back to {shown_version(template, new)}. Downgrades are not supported. {cure}"
        )
    return old, new


@contextmanager
def _undone_on_failure(root: Path) -> Iterator[None]:
    """Bring all files back to the last commit when the body fails; there was nothing else to lose."""
    try:
        yield
    except BaseException as failure:
        with _undisturbed():
            whole = ("--source=HEAD", "--staged", "--worktree", "--", ".")
            run_git(*PLAIN, "restore", *whole, cwd=root)
            run_git("clean", "--quiet", "--force", "-d", "--", ".", cwd=root)
        if isinstance(failure, KeyboardInterrupt):
            raise KeyboardInterrupt("interrupted; all files are as they were before") from None
        raise


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C while the body runs, in the programs that it starts too: many press it twice."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are not for this thread
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _keep_edited(
    root: Path, scratch: Path, answers: Mapping[str, str], origin: Origin, old: str
) -> tuple[str, ...]:
    """Bring back what the merge deleted although it had been edited here, and return those files.

    copier deletes what the template deletes, whatever became of it since.
    """
    gone = _git_lines(root, "diff", "--name-only", "--relative", "--diff-filter=D", "HEAD")
    if not gone:
        return ()
    data = {key: value for key, value in answers.items() if not key.startswith("_")}
    before = scratch / "before"
    render_version(before, data, origin, old)
    edited = []
    for path in gone:
        run_git(*PLAIN, "restore", "--", path, cwd=root)
        if (root / path).read_bytes() == _bytes(before / path):
            (root / path).unlink()
        else:
            edited.append(path)
    return tuple(edited)


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _swap_wheel(vendor_folder: Path, wheel: Path | None) -> None:
    """Put the wheel of the running scythe-gen in place of the one that the repository carried."""
    carried = list(vendor_folder.glob("scythe_gen-*.whl"))
    same = wheel is not None and [old.name for old in carried] == [wheel.name]
    if wheel and same and wheel_content(wheel) == wheel_content(carried[0]):
        return  # put together anew from installed files, the same wheel has other bytes
    for old in carried:
        old.unlink()
    if wheel:
        vendor_folder.mkdir(exist_ok=True)
        shutil.copy(wheel, vendor_folder)
    elif vendor_folder.is_dir() and not any(vendor_folder.iterdir()):
        vendor_folder.rmdir()


def _git_lines(root: Path, *arguments: str) -> tuple[str, ...]:
    # a file that is gone is told as such, never as another one's former name
    settings = (
        *("core.quotePath=false", "status.relativePaths=true"),
        *("status.renames=false", "diff.renames=false"),
    )
    plain = [part for setting in settings for part in ("-c", setting)]
    return tuple(run_git(*plain, *arguments, cwd=root).stdout.splitlines())
