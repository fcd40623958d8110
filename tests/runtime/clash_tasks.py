"""An experiment whose outputs are called like what a part says of each spec."""

from pathlib import Path

from scythe_runtime import (
    ExperimentInputSpec,
    ExperimentOutputSpec,
    ExperimentRegistry,
    FileReference,
)


class Clash(ExperimentInputSpec):
    """A number."""

    number: int


class Clashing(ExperimentOutputSpec):
    """Outputs with names of ours."""

    row: int
    ok: str
    seconds: float
    error_type: list[int]
    traceback: FileReference


@ExperimentRegistry.Register(retries=0)
def clash(input_spec: Clash, tempdir: Path) -> Clashing:
    """Return values that are not those of our own columns; one in four raises."""
    if input_spec.number % 4 == 3:
        raise ValueError(f"no {input_spec.number}")
    note = tempdir / "note.txt"
    note.write_text(str(input_spec.number))
    return Clashing(
        row=-input_spec.number,
        ok=f"ok {input_spec.number}",
        seconds=1e6 + input_spec.number,
        error_type=[input_spec.number],
        traceback=note,
    )
