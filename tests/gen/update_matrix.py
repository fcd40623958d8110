"""Prints what an update does, for each pair of versions and each kind of edit; takes a minute.

python tests/gen/update_matrix.py
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from template_versions import VERSIONS, commit, lines, make_source, make_wheel_tool


def nothing(_: Path) -> None:
    """Edit nothing."""


def beside(folder: Path) -> None:
    """Edit two lines below the one that the template changes."""
    _replace(folder / "changed.txt", "line 5\n", "mine\n")


def inside(folder: Path) -> None:
    """Edit the line that the template changes."""
    text = (folder / "changed.txt").read_text().splitlines(keepends=True)
    text[2] = "mine\n"
    (folder / "changed.txt").write_text("".join(text))


def deleted(folder: Path) -> None:
    """Delete a file that the template changes."""
    (folder / "changed.txt").unlink()


def edited_what_goes(folder: Path) -> None:
    """Edit files that the template deletes."""
    for path in folder.glob("gone-in-*.txt"):
        path.write_text(lines("mine"))


def own_files(folder: Path) -> None:
    """Edit the definition and the task."""
    _replace(folder / "io.yaml", "a:", "c:")
    (folder / folder.name / "task.py").write_text("mine = 1\n")


EDITS: tuple[Callable[[Path], None], ...] = (
    *(nothing, beside, inside, deleted),
    *(edited_what_goes, own_files),
)


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def main() -> None:
    """Print a line for each pair of versions and each edit."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "io.yaml").write_text("input: {a: {type: number}}\noutput: {b: {type: number}}\n")
        source = make_source(place / "source")
        tools = {version: make_wheel_tool(source, version, place / version) for version in VERSIONS}
        print("| from | to | edit | exit code | said |\n|---|---|---|---|---|")
        for old in VERSIONS:
            shutil.rmtree(place / "office", ignore_errors=True)
            done = tools[old].run("new", "office", "--schema", "io.yaml", cwd=place)
            assert done.code == 0, done.err
            for new in VERSIONS:
                for edit in EDITS if old < new else (nothing,):
                    (place / "here").mkdir()
                    folder = shutil.copytree(place / "office", place / "here" / "office")
                    edit(folder)
                    if edit is not nothing:
                        commit(folder, "mine")
                    done = tools[new].run("update", cwd=folder)
                    said = done.err.splitlines() or ["clean" if old != new else "up to date"]
                    said = [line for line in said if not line.startswith(("Edit", "To undo"))]
                    what = edit.__name__.replace("_", " ")
                    print(
                        f"| {old} | {new} | {what} | {done.code} | {'; '.join(said)} |", flush=True
                    )
                    shutil.rmtree(place / "here")


if __name__ == "__main__":
    main()
