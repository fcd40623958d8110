"""Whether a repository's derived files follow from its io.yaml. Pure but for reading; the generator reads it too."""

import hashlib
from pathlib import Path
from typing import Any, Final

import yaml

from scythe_runtime.errors import UsageError

FOLDER: Final = "_generated"
RECORD: Final = "FILES"
MARK: Final = "# io.yaml as it was read: "
"""What begins the line of `RECORD` that has the digest of io.yaml."""

_LAYOUT: Final = (yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)


class DerivedFilesStaleError(UsageError):
    """io.yaml was edited, and what is derived from it was not derived again."""


def definition_digest(text: str) -> str:
    """Return the sha256 of what a definition says; comments, layout and kind of quotes do not count.

    Two texts that mean the same in other words (`1` and `1.0`, keywords in another order) have two digests:
    what they mean is known to the generator alone.

    Args:
        text: Of io.yaml; where it is no YAML, every character counts.
    """
    digest = hashlib.sha256()
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same events, ten times faster
    try:
        for event in yaml.parse(text, Loader=loader):
            if not isinstance(event, _LAYOUT):
                digest.update(f"{_said(event)!r}\n".encode())
    except yaml.YAMLError:
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return digest.hexdigest()


def _said(event: Any) -> tuple[object, ...]:
    """Return what counts of an event."""
    plain = isinstance(event, yaml.ScalarEvent) and event.implicit[0]
    names = (getattr(event, name, None) for name in ("anchor", "tag", "value"))
    return type(event).__name__, plain, *names


def check_derived(root: Path) -> None:
    """Check that io.yaml says what it said when the specs were derived from it.

    Args:
        root: The experiment's repository; without an io.yaml or a record of it, nothing is checked.

    Raises:
        DerivedFilesStaleError: It says something else: the old definition would be run.
    """
    from scythe_runtime.settings import experiment_modules

    packages = dict.fromkeys(name.partition(".")[0] for name in experiment_modules(root))
    for package in packages:
        try:
            lines = (root / package / FOLDER / RECORD).read_text(encoding="utf-8").splitlines()
            text = (root / "io.yaml").read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            continue
        recorded = [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]
        if recorded and recorded != [definition_digest(text)]:
            raise DerivedFilesStaleError(
                f"io.yaml was edited, and {package}/{FOLDER}/ still follows from what it was before: the old "
                "definition would be run. Derive it again: scythe-gen generate"
            )
