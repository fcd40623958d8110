"""From a folder's name to the name of a repository and of its Python package."""

import keyword
import re
import sys
from dataclasses import dataclass
from typing import Final

from scythe_gen.errors import RepositoryError, shown

_SCAFFOLD: Final = frozenset(
    {"allocate", "artifacts", "results", "runs", "tests", "vendor", "worker"}
)
_DEPENDENCIES: Final = frozenset(
    {
        "boto3",
        "copier",
        "hatchet_sdk",
        "numpy",
        "pandas",
        "polars",
        "pyarrow",
        "pydantic",
        "pytest",
        "scipy",
    }
    | {"scythe", "scythe_gen", "scythe_runtime"}
)


@dataclass(frozen=True, slots=True)
class RepositoryName:
    """What a repository is called.

    Attributes:
        name: Of its distribution, for instance "office-heating".
        package: Of its Python package, for instance "office_heating".
    """

    name: str
    package: str


def repository_name(text: str) -> RepositoryName:
    """Return the names that follow from a folder's name.

    Args:
        text: For instance "Office heating", "office-heating" or "office.heating".

    Raises:
        RepositoryError: No clean package name follows from it.
    """
    package = re.sub(r"[-. _]+", "_", text.strip().lower()).strip("_")
    hint = "Choose another folder or give --name, for instance --name office-heating."
    if not re.fullmatch(r"[a-z][a-z0-9_]*", package):
        raise RepositoryError(
            f"{shown(text)} cannot be a package's name: a letter first, then letters (a to z), digits, '-' and '_'. {hint}"
        )
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        raise RepositoryError(
            f"{shown(text)} cannot be a package's name: Python has that keyword. {hint}"
        )
    if package in sys.stdlib_module_names | _DEPENDENCIES:
        raise RepositoryError(
            f"{shown(text)} cannot be a package's name: it would hide the module {package} that is needed. {hint}"
        )
    if package in _SCAFFOLD:
        raise RepositoryError(
            f"{shown(text)} cannot be a package's name: the repository has something else of that name. {hint}"
        )
    return RepositoryName(package.replace("_", "-"), package)
