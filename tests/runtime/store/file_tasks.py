"""An experiment whose inputs are files; a module, so that slot processes find it."""

from pathlib import Path

from pydantic import Field

from scythe_runtime import (
    ExperimentInputSpec,
    ExperimentOutputSpec,
    ExperimentRegistry,
    FileReference,
    OptionalFileReference,
)


class Files(ExperimentInputSpec):
    """A file, perhaps another, and any number of them."""

    weather: FileReference
    other: OptionalFileReference = None
    layers: list[FileReference] = Field(default_factory=list)


class Texts(ExperimentOutputSpec):
    """What stands in them."""

    text: str


@ExperimentRegistry.Register(retries=0)
def read_files(input_spec: Files) -> Texts:
    """Return the texts of all files, joined by bars."""
    files = [input_spec.weather, input_spec.other, *input_spec.layers]
    return Texts(text="|".join(Path(str(f)).read_text("utf-8") for f in files if f is not None))
