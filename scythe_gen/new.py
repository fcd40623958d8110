"""A new repository: everything is checked first, built beside its place, and moved there at the end."""

import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scythe_gen.document import Document, read_document
from scythe_gen.errors import DefinitionError, GenError, RepositoryError
from scythe_gen.generate import derived_files, write_derived
from scythe_gen.git import first_commit
from scythe_gen.parse import parse
from scythe_gen.render import record_origin, scaffold
from scythe_gen.repo_name import RepositoryName, repository_name
from scythe_gen.resources import examples, resource
from scythe_gen.schema import IOModel
from scythe_gen.user_files import user_files, with_requirements
from scythe_gen.vendor import vendor


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be made; all of it has been checked."""

    target: Path
    name: RepositoryName
    document: Document
    model: IOModel
    example: Path | None


def new_repository(
    target: Path, *, schema: Path | None = None, example: str | None = None, name: str | None = None
) -> RepositoryName:
    """Make an experiment repository and return its names.

    Args:
        target: Its folder, which is not there yet or empty; its parent is.
        schema: The definition, io.yaml. Either this or `example` is given.
        example: The name of an example, which brings its own task and artifacts.
        name: What it is called; by default as its folder.

    Raises:
        RepositoryError: Something is wrong with what was asked for, all of it in one message. Nothing
            has been written.
        DefinitionError: The definition has problems, all of them. Nothing has been written.
    """
    order = _check(target, schema=schema, example=example, name=name)
    building = order.target.parent / f".{order.name.name}-{uuid.uuid4().hex[:8]}.partial"
    try:
        building.mkdir()
    except OSError as error:
        raise RepositoryError(
            f"{building.parent} cannot be written to: {error.strerror}."
        ) from None
    try:
        _build(building, order)
        _move(building, order.target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return order.name


def place_problems(target: Path) -> list[str]:
    """Return what is wrong with a folder that is to become a repository, and with its name as one."""
    target = Path.cwd() / target
    try:
        repository_name(target.resolve().name)
    except RepositoryError as error:
        return [str(error), *_target_problems(target)]
    return _target_problems(target)


def _check(target: Path, *, schema: Path | None, example: str | None, name: str | None) -> _Order:
    """Return what is to be made.

    Raises:
        GenError: All that is wrong.
    """
    problems: list[GenError] = []
    target = Path.cwd() / target
    names = None
    try:
        names = repository_name(name if name is not None else target.resolve().name)
    except RepositoryError as error:
        problems.append(error)
    problems += map(RepositoryError, _target_problems(target))
    folder = None
    if (schema is None) == (example is None):
        problems.append(RepositoryError("give either --schema FILE or --example NAME."))
    elif example is not None:
        if example in examples():
            folder = resource("schemas") / "examples" / example
        else:
            problems.append(
                RepositoryError(
                    f"there is no example {example!r}. There are: {', '.join(examples())}."
                )
            )
    path = folder / "io.yaml" if folder else schema
    document = model = None
    if path is not None:
        try:
            document = read_document(path)
            model = parse(document)
        except DefinitionError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems or names is None or document is None or model is None:
        raise RepositoryError("\n".join(map(str, problems)))
    return _Order(target, names, document, model, folder)


def _target_problems(target: Path) -> list[str]:
    """Return what is wrong with the place of the new repository."""
    if target.is_dir():
        found = sorted(path.name for path in target.iterdir())
        if found:
            some = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")  # noqa: PLR2004 - a few
            return [
                f"{target} is not empty ({some}). Choose a folder that is empty or not there yet."
            ]
        return []
    if target.exists() or target.is_symlink():
        return [f"{target} is not a folder. Choose another place."]
    if not target.parent.is_dir():
        return [f"{target.parent} is not there. Make it first: mkdir -p '{target.parent}'"]
    return []


def _build(folder: Path, order: _Order) -> None:
    """Write the whole repository into a folder, first commit included."""
    source = vendor(folder / "vendor")
    names = order.name
    answers = {
        "name": names.name,
        "package": names.package,
        "requirement": source.requirement,
        "wheel": source.wheel,
    }
    with scaffold(folder, answers):
        derived = derived_files(order.model, names.package)
    record_origin(folder, source.template_url, source.template_commit)
    if order.example:
        project = folder / "pyproject.toml"
        text = project.read_text("utf-8")
        project.write_text(with_requirements(text, order.example), "utf-8", newline="\n")
    own = user_files(order.model, names.package, order.document.text, order.example)
    for path, content in own.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    write_derived(folder, derived)
    first_commit(folder, f"{names.name}: made by scythe-gen")


def _move(built: Path, target: Path) -> None:
    """Move the finished repository to its place."""
    if not target.exists():
        built.rename(target)
        return
    moved = []
    try:  # into the empty folder that is there: it may be the working directory
        for path in sorted(built.iterdir()):
            path.rename(target / path.name)
            moved.append(target / path.name)
    except BaseException:
        for path in moved:
            with suppress(OSError):
                path.rename(built / path.name)
        raise
