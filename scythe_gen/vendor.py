"""How a new repository asks for scythe-gen, so that it installs without this machine's checkout.

No index has a package of this name, so it is never asked for by bare name: either by git URL and
commit, where scythe-gen came from git, or by a wheel that the repository carries.
"""

import base64
import hashlib
import json
import zipfile
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from scythe_gen.errors import RepositoryError
from scythe_gen.git import run_git
from scythe_gen.history import CARRIED
from scythe_gen.origins import carried_template, commit_of, version_name
from scythe_gen.resources import checkout

DISTRIBUTION: Final = "scythe-gen"
_EPOCH: Final = (2020, 2, 2, 0, 0, 0)  # as hatchling's own wheels: the same bytes at any time
_INSTALLERS_OWN: Final = frozenset(
    {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json"}
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the running scythe-gen comes from, as a new repository records it.

    Attributes:
        requirement: For pyproject.toml.
        wheel: The name of the wheel in the repository's vendor/; empty for git.
        template_url: What the scaffold is updated from, as origins.py describes it; None where the
            checkout's template has changes that are not committed.
        template_commit: The template's version there.
    """

    requirement: str
    wheel: str = ""
    template_url: str | None = None
    template_commit: str | None = None


def vendor(into: Path) -> Source:
    """Return where scythe-gen comes from; write its wheel into a folder where that is needed.

    Works offline. The same code gives the same bytes.

    Args:
        into: The new repository's vendor/, made when a wheel goes there.

    Raises:
        RepositoryError: This installation of scythe-gen cannot be taken along.
    """
    root = checkout()
    if root is not None:
        wheel = _build(root, into)
        return Source(_requirement(wheel), wheel, *_template_in(root))
    installed = distribution(DISTRIBUTION)
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if "vcs_info" in origin:
        url, commit = origin["url"], origin["vcs_info"]["commit_id"]
        return Source(f"{DISTRIBUTION} @ git+{url}@{commit}", "", f"git+{url}", commit)
    wheel = _repack(installed, into)
    with carried_template() as template:
        head = commit_of(template, "HEAD") or ""
        return Source(_requirement(wheel), wheel, CARRIED, version_name(template, head))


def _requirement(wheel: str) -> str:
    """Return the requirement for a carried wheel; hatchling and uv both know {root:uri}."""
    return f"{DISTRIBUTION} @ {{root:uri}}/vendor/{wheel}"


def _template_in(root: Path) -> tuple[str, str] | tuple[None, None]:
    """Return the checkout and its commit, unless the template there has changes of its own."""
    changes = run_git(
        "status", "--porcelain", "--", "template", "copier.yml", cwd=root, check=False
    )
    head = run_git("rev-parse", "--verify", "HEAD", cwd=root, check=False)
    clean = changes.returncode == 0 and not changes.stdout and head.returncode == 0
    return (str(root), head.stdout.strip()) if clean else (None, None)


def _build(root: Path, into: Path) -> str:
    """Build the checkout's wheel in this process and return its name."""
    from hatchling.builders.wheel import WheelBuilder

    into.mkdir(parents=True, exist_ok=True)
    builder = WheelBuilder(str(root))
    return Path(next(iter(builder.build(directory=str(into), versions=["standard"])))).name


def _repack(installed: Distribution, into: Path) -> str:
    """Put the installed files together again as the wheel that they came from; return its name."""
    files = {}
    for file in installed.files or ():
        outside = file.parts[0] == ".."  # a console script; the wheel has its entry point instead
        if (
            not outside
            and file.suffix != ".pyc"
            and not (file.parent.suffix == ".dist-info" and file.name in _INSTALLERS_OWN)
        ):
            files[file.as_posix()] = file.read_binary()
    metadata = next((name for name in files if name.endswith(".dist-info/WHEEL")), None)
    if metadata is None:
        raise RepositoryError(
            "this installation of scythe-gen lacks its list of files, so it cannot be put into a new repository. "
            "Install it again with pip or uv, from a wheel, a checkout or git."
        )
    folder = metadata.removesuffix("/WHEEL")
    tag = next(
        line.removeprefix("Tag: ")
        for line in files[metadata].decode().splitlines()
        if line.startswith("Tag: ")
    )
    rows = [f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in sorted(files.items())]
    files[f"{folder}/RECORD"] = f"{''.join(rows)}{folder}/RECORD,,\n".encode()
    into.mkdir(parents=True, exist_ok=True)
    wheel = f"{folder.removesuffix('.dist-info')}-{tag}.whl"
    with zipfile.ZipFile(into / wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files, key=lambda name: (".dist-info/" in name, name)):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED)
    return wheel


def wheel_content(wheel: Path) -> dict[str, bytes] | None:
    """Return what a wheel installs: name → bytes, its list of files apart; None where it is no archive."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [n for n in archive.namelist() if not n.endswith(".dist-info/RECORD")]
            return {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, OSError):
        return None


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
