"""Errors of the generator. Problems of a definition are reported all in one go, each with its position.

GenError
├── DefinitionError (ValueError)   io.yaml cannot be used; carries every problem that was found
├── GeneratedCodeError             the generated code does not say what io.yaml says: a mistake of ours
└── RepositoryError (ValueError)   a repository cannot be made, found or changed as asked
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final, Literal

Format = Literal["text", "json", "github"]

_SHOWN_CHARACTERS: Final = 60
_LINE_CHARACTERS: Final = 400


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with a definition; problems sort by their position.

    Attributes:
        file: The document, as the user named it.
        line: Counts from 1.
        column: Counts from 1, in characters.
        rule: A rule id in kebab-case; docs/definition.md lists them.
        message: What is wrong and how to fix it, on one line.
    """

    file: str
    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.rule}: {self.message}"


class GenError(Exception):
    """Base of all errors that the generator raises on purpose."""


class DefinitionError(GenError, ValueError):
    """A definition cannot be used.

    Attributes:
        problems: All that was found, sorted by position.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__(format_problems(self.problems, "text"))


class GeneratedCodeError(GenError):
    """The generated code does not say what the definition says, which is a mistake of scythe-gen."""

    def __init__(self, difference: str) -> None:
        super().__init__(
            f"the generated specs differ from io.yaml, which is a mistake of scythe-gen; nothing has been written. "
            f"Please report it with your io.yaml:\n{difference}"
        )


class RepositoryError(GenError, ValueError):
    """A repository cannot be made, found or changed as asked; nothing has been written."""


def format_problems(problems: Iterable[Problem], style: Format = "text") -> str:
    """Return the problems as text: a line each, one JSON array, or annotations of GitHub Actions."""
    if style == "json":
        return json.dumps([asdict(problem) for problem in problems], indent=2)
    if style == "github":
        return "\n".join(_annotation(problem) for problem in problems)
    return "\n".join(str(problem) for problem in problems)


def shown(value: object) -> str:
    """Return a value as it may stand in a message: on one line, printable and short."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def one_line(message: str) -> str:
    """Return a message that may quote a document's names as one printable line of bounded length."""
    if not message.isprintable():
        message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    return message if len(message) <= _LINE_CHARACTERS else f"{message[: _LINE_CHARACTERS - 1]}…"


def _annotation(problem: Problem) -> str:
    message = _escape(f"{problem.rule}: {problem.message}")
    file = _escape(problem.file).replace(":", "%3A").replace(",", "%2C")
    return f"::error file={file},line={problem.line},col={problem.column},title={problem.rule}::{message}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
