"""Build hook: the wheel carries the template with its history, from which it updates repositories offline."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class HistoryHook(BuildHookInterface):
    """Puts the template's history into wheels and source distributions."""

    made: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the bundle, or take the one that a source distribution carries.

        Without git there is none, and the rest is built all the same.
        """
        if version == "editable":
            return
        bundle = Path(self.root, "template.bundle")
        if not bundle.is_file():
            self.made = tempfile.TemporaryDirectory(prefix="scythe-bundle-")
            bundle = Path(self.made.name, bundle.name)
            sys.path.insert(0, self.root)
            try:
                from scythe_gen.errors import GenError  # noqa: PLC0415 - found by the line above
                from scythe_gen.history import write_bundle  # noqa: PLC0415

                write_bundle(Path(self.root), self.metadata.version, bundle)
            except GenError as error:
                self.app.display_warning(f"The template's history is left out: {error}")
                return
            finally:
                sys.path.remove(self.root)
        folder = "" if self.target_name == "sdist" else "scythe_gen/_data/"
        build_data["force_include"][str(bundle)] = f"{folder}template.bundle"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what was made for the build."""
        if self.made:
            self.made.cleanup()
