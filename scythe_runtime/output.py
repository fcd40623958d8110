"""Whether a result can be stored: its files are there, its frames are as defined."""

from pathlib import Path

from scythe_runtime.base import ExperimentOutputSpec
from scythe_runtime.errors import ScytheError
from scythe_runtime.files import walk_files


class MissingResultFile(ScytheError, FileNotFoundError):  # noqa: N818 - the name is what a user reads in errors.pq
    """An output field names a file that is not there."""


def check_output(output: ExperimentOutputSpec) -> None:
    """Check a function's result as a slot does before it stores it.

    Raises:
        MissingResultFile: A field names a file that was not written.
        WrongFrame: A frame is missing, or not as io.yaml defines it.
    """
    check_files(output)
    defined = output._frames  # noqa: SLF001 - our own base class
    if output.dataframes or defined:
        from scythe_runtime.frames import check_frames

        check_frames(output.dataframes, defined)


def check_files(output: ExperimentOutputSpec) -> None:
    """Check that the files which a result names are there.

    Raises:
        MissingResultFile: A field names a file that was not written.
    """
    missing = [
        f"{at}: {file} does not exist; write it before returning it"
        for at, file in walk_files(output)
        if isinstance(file, Path) and not file.is_file()
    ]
    if missing:
        raise MissingResultFile("; ".join(missing))
