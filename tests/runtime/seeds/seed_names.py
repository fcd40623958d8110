"""The names that code written for scythe-engine uses, and which test calls each."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

NAMES = Path(__file__).with_name("names.txt")
TESTS: dict[str, str] = {}
"""Test of each name; filled as the test modules are imported."""

_MODULES = r"utils\.\w+|\w+"
_LINE = re.compile(rf"(?:(\w+) )?((?:{_MODULES}))\.([A-Z]\w*(?:\.\w+)?|[a-z]\w*)(\(.*\))?")

T = TypeVar("T", bound=Callable[..., object])


@dataclass(frozen=True)
class Name:
    """One line of names.txt."""

    mark: str
    module: str
    path: str
    parameters: str | None

    def __str__(self) -> str:
        return f"{self.module}.{self.path}"

    def defaults(self) -> Iterator[tuple[str, str | None]]:
        """Yield each parameter with its default as text, None where it has none."""
        wanted = ast.parse(f"def f{self.parameters}: ...").body[0]
        assert isinstance(wanted, ast.FunctionDef)
        args = wanted.args
        places = [*args.posonlyargs, *args.args]
        missing = [None] * (len(places) - len(args.defaults))
        for arg, default in zip(places, [*missing, *args.defaults], strict=True):
            yield arg.arg, default and ast.unparse(default)
        for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
            yield arg.arg, default and ast.unparse(default)


def read_names() -> list[Name]:
    """Return the lines of names.txt."""
    found = []
    for line in NAMES.read_text().splitlines():
        if line and not line.startswith("#"):
            match = _LINE.fullmatch(line)
            assert match, line
            mark, module, path, parameters = match.groups()
            found.append(Name(mark or "", module, path, parameters))
    return found


def calls(*names: str) -> Callable[[T], T]:
    """Say which names a test calls; `__init__` goes with its class."""

    def mark(test: T) -> T:
        for name in names:
            TESTS[name] = f"{test.__module__}::{test.__name__}"
        return test

    return mark
