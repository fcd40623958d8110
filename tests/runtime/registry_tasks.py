"""Experiments that show what each option of Register does."""

import time
from pathlib import Path

from scythe_runtime import (
    ExperimentInputSpec,
    ExperimentOutputSpec,
    ExperimentRegistry,
    FileReference,
)


class Attempt(ExperimentInputSpec):
    """A spec that leaves a line in a log each time it is tried."""

    log_file: str
    k: int


class Seen(ExperimentOutputSpec):
    """What the function saw."""

    text: str


def _try(spec: Attempt) -> Seen:
    with Path(spec.log_file).open("a") as file:
        file.write(f"{spec.k}\n")
    tried = Path(spec.log_file).read_text().split().count(str(spec.k))
    if tried <= spec.k:
        message = f"attempt {tried}"
        raise RuntimeError(message)
    return Seen(text=f"attempt {tried}")


@ExperimentRegistry.Register(retries=2, description="Succeeds at attempt k + 1.")
def try_three_times(input_spec: Attempt) -> Seen:
    """Fail k times, then succeed."""
    return _try(input_spec)


@ExperimentRegistry.Register(retries=0, name="tried once")
def try_once(input_spec: Attempt) -> Seen:
    """Fail k times, then succeed."""
    return _try(input_spec)


class Named(ExperimentInputSpec):
    """A spec that names a file."""

    data: FileReference


def _append(spec: Named) -> Seen:
    path = Path(str(spec.data))
    path.write_text(path.read_text() + "changed\n")
    return Seen(text=path.read_text())


@ExperimentRegistry.Register(local_file_location="copied-to-tempdir")
def change_copy(input_spec: Named, tempdir: Path) -> Seen:
    """Change the file, which is a copy in the tempdir."""
    assert Path(str(input_spec.data)).parent == tempdir
    return _append(input_spec)


@ExperimentRegistry.Register(local_file_location="cache")
def read_shared(input_spec: Named, tempdir: Path) -> Seen:
    """Say where the file is."""
    assert not Path(str(input_spec.data)).is_relative_to(tempdir)
    assert isinstance(input_spec.data, Path)
    return Seen(text=input_spec.data.read_text())


@ExperimentRegistry.Register(auto_fetch_files=False)
def read_reference(input_spec: Named) -> Seen:
    """Say what the reference is."""
    assert not isinstance(input_spec.data, Path)
    return Seen(text=str(input_spec.data))


class Plain(ExperimentInputSpec):
    """A number."""

    x: float = 0.0


@ExperimentRegistry.Register(inject_workflow_run_id=False)
def without_id(input_spec: Plain) -> Seen:
    """Say the spec's id."""
    return Seen(text=str(input_spec.workflow_run_id))


@ExperimentRegistry.Register()
def with_id(input_spec: Plain) -> Seen:
    """Say the spec's ids."""
    return Seen(text=f"{input_spec.workflow_run_id} {input_spec.root_workflow_run_id}")


@ExperimentRegistry.Register()
def leave_things(input_spec: Plain, tempdir: Path) -> Seen:
    """Leave a file in the tempdir and say where it is."""
    assert list(tempdir.iterdir()) == []
    (tempdir / "left.txt").write_text("left")
    return Seen(text=str(tempdir))


@ExperimentRegistry.Register(retries=0)
def sleep(input_spec: Plain) -> Seen:
    """Sleep for x seconds."""
    time.sleep(input_spec.x)
    return Seen(text="rested")


@ExperimentRegistry.Register()
async def later(input_spec: Plain, tempdir: Path) -> Seen:
    """Write and read a file, asynchronously."""
    (tempdir / "x.txt").write_text(str(input_spec.x))
    return Seen(text=(tempdir / "x.txt").read_text())
