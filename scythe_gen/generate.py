"""What is derived from io.yaml: as a map of path to text, then as files that differ from it.

`derived_files` is pure. `read_drift` compares a repository with it, `write_derived` makes it so.
"""

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from scythe_gen.changes import DEFINITION, definition_text
from scythe_gen.compare import compare_specs
from scythe_gen.errors import RepositoryError
from scythe_gen.fields import fields_text
from scythe_gen.resources import resource
from scythe_gen.schema import IOModel
from scythe_gen.specs import specs_text
from scythe_gen.version import tool_version
from scythe_runtime.derived import FOLDER, MARK, RECORD

_HEADER_START = "# Generated from io.yaml by scythe-gen "

State = Literal["hand-edited", "stale", "missing", "left over"]


@dataclass(frozen=True, slots=True, order=True)
class Drift:
    """A derived file that is not what io.yaml gives.

    Attributes:
        path: Relative to the repository's root, with slashes.
        state: "hand-edited" is not what any scythe-gen wrote; "stale" is what it wrote for an older
            io.yaml; "left over" is what it wrote once and does not write any more.
    """

    path: str
    state: State


def derived_files(model: IOModel, package: str) -> dict[str, str]:
    """Return every file that is derived from io.yaml: path below the repository's root → text.

    Args:
        model: The parsed definition.
        package: The name of the repository's Python package.

    Returns:
        The same bytes for the same model, whatever the machine. `FILES` lists the others with the
        sha256 of what follows their header, and has the digest by which a run sees that io.yaml was edited.

    Raises:
        GeneratedCodeError: The specs do not say what the definition says.
    """
    specs = specs_text(model)
    compare_specs(model, specs)
    bodies = {
        "__init__.py": '"""Derived from io.yaml; scythe-gen owns this folder."""\n',
        "fields.py": fields_text(model),
        "specs.py": specs,
        DEFINITION: definition_text(model),
    }
    schema = resource("schemas") / "io.schema.json"
    if schema.is_file():
        bodies["io.schema.json"] = schema.read_text("utf-8")
    header = (
        f"{_HEADER_START}{tool_version()}. Do not edit: change io.yaml, then run `scythe-gen generate`.\n"
        f"# io.yaml sha256: {model.digest}\n"
    )
    manifest = "".join(f"{_sha256(body)}  {name}\n" for name, body in sorted(bodies.items()))
    manifest += f"{MARK}{model.written}\n"
    return {
        f"{package}/{FOLDER}/{name}": body if name.endswith(".json") else header + body
        for name, body in [*bodies.items(), (RECORD, manifest)]
    }


def package_of(root: Path) -> str:
    """Return the name of the package whose files are derived, as the repository's pyproject says.

    Raises:
        RepositoryError: The folder is not a scythe repository.
    """
    path = root / "pyproject.toml"
    try:
        modules = tomllib.loads(path.read_text("utf-8"))["tool"]["scythe"]["experiments"]
        package = str(modules[0]).partition(".")[0]
    except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
        raise RepositoryError(
            f'{root}: no pyproject.toml with [tool.scythe] experiments = ["<package>.task"]. '
            "Run this in the folder of an experiment repository, or make one: scythe-gen new DIR --schema io.yaml"
        ) from error
    if not package.isidentifier() or not (root / package).is_dir():
        raise RepositoryError(
            f"{path}: [tool.scythe] experiments begins with {package!r}, and there is no such folder beside it. "
            "Name the module that holds the task."
        )
    return package


def read_drift(root: Path, expected: Mapping[str, str]) -> list[Drift]:
    """Return each derived file that differs from what it should be, sorted by path.

    Headers are not compared, so another version of the tool that writes the same code is no drift.

    Args:
        root: The repository.
        expected: What `derived_files` returns.
    """
    folder = _folder(expected)
    recorded = _recorded(root / folder / RECORD)
    found = []
    for path, text in expected.items():
        actual = _read(root / path)
        name = PurePosixPath(path).name
        if actual is None:
            found.append(Drift(path, "missing"))
        elif _body(actual) != _body(text):
            ours = name == RECORD or recorded.get(name) == _sha256(_body(actual))
            found.append(Drift(path, "stale" if ours else "hand-edited"))
    left = recorded.keys() - {PurePosixPath(path).name for path in expected}
    found += [
        Drift(f"{folder}/{name}", "left over") for name in left if (root / folder / name).is_file()
    ]
    return sorted(found)


def write_derived(root: Path, expected: Mapping[str, str]) -> list[Drift]:
    """Write what differs, remove what is left over, and return what there was to do.

    A file whose body is right is not touched, so nothing is rebuilt or committed without reason.
    Each file is replaced in one step.
    """
    drift = read_drift(root, expected)
    manifest_last = sorted(drift, key=lambda item: item.path.endswith(f"/{RECORD}"))
    for item in manifest_last:
        path = root / item.path
        if item.state == "left over":
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.partial")
            partial.write_text(expected[item.path], "utf-8", newline="\n")
            os.replace(partial, path)  # noqa: PTH105 - the same call, and it names both ends
    return drift


def _folder(expected: Mapping[str, str]) -> str:
    return str(PurePosixPath(next(iter(expected))).parent)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> str | None:
    """Return a file's text, None where there is no file, and something unequal where it is not text."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return "not text"


def _body(text: str) -> str:
    """Return what follows the two lines of header."""
    return text.split("\n", 2)[-1] if text.startswith(_HEADER_START) else text


def _recorded(manifest: Path) -> dict[str, str]:
    """Return name → sha256 of what was written last; plain file names only."""
    rows = [line.split("  ", 1) for line in _body(_read(manifest) or "").splitlines()]
    return {
        name: digest
        for digest, name in (row for row in rows if len(row) == 2)  # noqa: PLR2004 - digest and name
        if name == PurePosixPath(name).name and name not in {"", ".", ".."}
    }
