"""The template with its history, as one small file: what an installed scythe-gen updates repositories from.

It is a git bundle with only copier.yml and template/ in it, tags included. The same history gives the
same commits, so a repository that was made from one wheel is known to every later one. Only the
standard library is used: the build hook runs this too.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from scythe_gen.git import CLEAN, PLAIN, run_git

BUNDLE: Final = "template.bundle"
# Not a place on the network (.invalid never is one): what repositories record that an installed wheel has
# made. `scythe-gen update` puts its own bundle there.
CARRIED: Final = "https://scythe-gen.invalid/template.git"

_PATHS: Final = ("copier.yml", "template")
_EXPORT: Final = ("--signed-tags=strip", "--tag-of-filtered-object=rewrite", "--reencode=no")
_BUILDER: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "scythe-gen"),
        ("EMAIL", "scythe-gen@localhost"),
        ("DATE", "2020-02-02T00:00:00+0000"),
    )
}


def write_bundle(root: Path, version: str, into: Path) -> str:
    """Write the bundle of the template in a folder, and return its newest commit.

    Args:
        root: The folder with copier.yml and template/. Where it is a git checkout with all its history,
            that is taken along; else there is one commit, tagged `v<version>`.
        version: Of scythe-gen.
        into: The file.

    Raises:
        RepositoryError: git is not installed, or failed.
    """
    with tempfile.TemporaryDirectory(prefix="scythe-history-") as name:
        bare = Path(name)
        run_git("init", "--quiet", "--bare", "--template=", "--initial-branch=main", cwd=bare)
        git = (f"--git-dir={bare}", *PLAIN)
        if _has_history(root):
            _import(root, bare)
        parent = run_git(*git, "rev-parse", "--verify", "HEAD^{commit}", cwd=bare, check=False)
        before = run_git(*git, "rev-parse", "--verify", "HEAD^{tree}", cwd=bare, check=False)
        run_git(*git, f"--work-tree={root}", "add", "--", *_PATHS, cwd=root)
        tree = run_git(*git, "write-tree", cwd=bare).stdout.strip()
        commit = parent.stdout.strip()
        if tree != before.stdout.strip():  # changes that are not committed, or no history at all
            parents = () if parent.returncode else ("-p", commit)
            message = ("-m", "The template as it was when scythe-gen was built")
            done = run_git(*git, "commit-tree", *parents, *message, tree, cwd=bare, env=_BUILDER)
            commit = done.stdout.strip()
            run_git(*git, "update-ref", "HEAD", commit, cwd=bare)
            if parent.returncode:
                run_git(*git, "tag", f"v{version}", commit, cwd=bare)
        # Later versions stay out: the same commit gives the same wheel, whatever is tagged afterwards.
        tags = run_git(
            *git, "for-each-ref", "--format=%(refname)", "--merged=HEAD", "refs/tags", cwd=bare
        )
        one_thread = ("-c", "pack.threads=1")  # several find different deltas each time
        create = (*git, *one_thread, "bundle", "create", "--quiet", str(into.absolute()))
        run_git(*create, "HEAD", "--branches", *tags.stdout.split(), cwd=bare)
    return commit


def _has_history(root: Path) -> bool:
    """Return whether a folder is the top of a git checkout that is not shallow and has commits."""
    asked = ("--show-toplevel", "--is-shallow-repository")
    said = run_git("rev-parse", *asked, cwd=root, check=False).stdout.splitlines()
    return (
        len(said) == len(asked)
        and Path(said[0]).resolve() == root.resolve()
        and said[1] == "false"
        and run_git("rev-parse", "--verify", "HEAD", cwd=root, check=False).returncode == 0
    )


def _import(root: Path, bare: Path) -> None:
    """Bring those commits of a checkout that changed the template, and its tags, into an empty repository."""
    environment = {name: value for name, value in os.environ.items() if name not in CLEAN}
    branch = run_git("symbolic-ref", "--quiet", "HEAD", cwd=root, check=False).stdout.strip()
    with subprocess.Popen(
        ["git", "fast-export", *_EXPORT, "HEAD", "--tags", "--", *_PATHS],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as export:
        run_git("fast-import", "--quiet", "--force", cwd=bare, stdin=export.stdout)
    if branch not in {"", "refs/heads/main"}:
        tip = run_git("rev-parse", "--verify", branch, cwd=bare, check=False).stdout.strip()
        if tip:
            run_git("update-ref", "refs/heads/main", tip, cwd=bare)
            run_git("update-ref", "-d", branch, cwd=bare)
