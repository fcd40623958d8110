"""The version of scythe-gen that is running."""

from importlib.metadata import version


def tool_version() -> str:
    """Return the version of the installed distribution."""
    return version("scythe-gen")
