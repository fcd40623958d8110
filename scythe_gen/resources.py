"""Where the files stand that scythe-gen carries: template, examples, meta-schema."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def checkout() -> Path | None:
    """Return the root of the checkout that this code runs from, or None when it is installed."""
    root = _PACKAGE.parent
    return root if (root / "copier.yml").is_file() and (root / "pyproject.toml").is_file() else None


def resource(name: str) -> Path:
    """Return the path of a carried file or folder: "copier.yml", "template" or "schemas"."""
    return (checkout() or _PACKAGE / "_data") / name


def examples() -> list[str]:
    """Return the names of the examples that a repository can start from."""
    return sorted(path.parent.name for path in (resource("schemas") / "examples").glob("*/io.yaml"))
