"""Collects what is wrong with a document, each thing at its position."""

from collections.abc import Iterable

from scythe_gen.document import Document
from scythe_gen.errors import Problem, one_line
from scythe_gen.schema import Position

Steps = tuple[str | int, ...]


class Notes:
    """Problems of one document, in the order in which they were found."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[Problem] = list(document.problems)

    def position(self, path: Iterable[str | int]) -> Position:
        """Return where the key at the end of a path stands."""
        return self._document.key(tuple(path))

    def at_key(self, path: Iterable[str | int], rule: str, message: str) -> None:
        """Note a problem where the key at the end of a path stands."""
        self.at(self._document.key(tuple(path)), rule, message)

    def at_value(self, path: Iterable[str | int], rule: str, message: str) -> None:
        """Note a problem where the value at the end of a path stands."""
        self.at(self._document.value(tuple(path)), rule, message)

    def at(self, where: Position, rule: str, message: str) -> None:
        """Note a problem at a position."""
        self.problems.append(
            Problem(self._document.name, where.line, where.column, rule, one_line(message))
        )
