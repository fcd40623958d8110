"""Reads a definition once, YAML or JSON, and remembers where each key and value stands.

Values are plain: dict, list, str, int, float, bool, None. Dates stay text, as JSON Schema has them.
Nothing is constructed from tags, so a document cannot name Python. YAML's events are read one by
one rather than loaded, which bounds nesting and the expansion of aliases before they cost anything.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scythe_gen.errors import DefinitionError, Problem, one_line, shown
from scythe_gen.schema import Position

if TYPE_CHECKING:
    from ruamel.yaml.error import StreamMark
    from ruamel.yaml.events import Event, ScalarEvent

MAX_BYTES: Final = 2_000_000
MAX_DEPTH: Final = 60
MAX_VALUES: Final = 300_000

_INT64: Final = 2**63
_CORE: Final = "tag:yaml.org,2002:"

_PLAINLY: Final = {
    "<document start>": "the definition ended before this line; is it indented less than those above?",
    "<block end>": "this line does not line up with those above; is it indented too much or too little?",
    "'\\t' that cannot start": "a tab; indent with spaces",
}
"""What the parser's words for the commonest slips mean."""

Path_ = Sequence[str | int]
_Marks = dict[str | int, tuple[Position, Position]]


@dataclass(frozen=True, slots=True)
class Document:
    """A definition as it was written.

    Attributes:
        name: The file as the user named it; it leads every message.
        text: The source.
        root: Its plain values.
        problems: What was found while reading and does not hinder the rest, for instance a key
            that stands twice.
    """

    name: str
    text: str
    root: Any
    problems: tuple[Problem, ...]
    _start: Position
    _marks: Mapping[int, _Marks] = field(repr=False)

    def key(self, path: Path_) -> Position:
        """Return where the key (or list item) at the end of a path stands, or its nearest parent."""
        return self._find(path)[0]

    def value(self, path: Path_) -> Position:
        """Return where the value at the end of a path stands, or its nearest parent."""
        return self._find(path)[1]

    def _find(self, path: Path_) -> tuple[Position, Position]:
        found, node = (self._start, self._start), self.root
        for step in path:
            marks = self._marks.get(id(node), {})
            if step not in marks:
                break
            found, node = marks[step], node[step]
        return found


def read_document(path: Path) -> Document:
    """Return the definition in a file.

    Raises:
        DefinitionError: It cannot be read, or is neither YAML nor JSON; one problem.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise _stop(str(path), 1, 1, "unreadable", f"cannot read the file: {reason}") from None
    return _parse_bytes(data, str(path))


def parse_text(text: str, name: str = "io.yaml") -> Document:
    """Return the definition in a text.

    Raises:
        DefinitionError: It is neither YAML nor JSON, or too large; one problem.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES // 1_000_000} MB, which no definition needs"
        raise _stop(name, 1, 1, "too-large", message)
    return _Reader(name, text).read()


def _parse_bytes(data: bytes, name: str) -> Document:
    try:
        return parse_text(data.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        if len(data) > MAX_BYTES:  # a character may have been cut in two
            return parse_text(data.decode("latin-1"), name)
        line = data.count(b"\n", 0, error.start) + 1
        message = "the file is not UTF-8 text; save it as UTF-8"
        raise _stop(name, line, 1, "unreadable", message) from None


def _stop(name: str, line: int, column: int, rule: str, message: str) -> DefinitionError:
    return DefinitionError([Problem(name, line, column, rule, one_line(message))])


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read; `key` is the mapping's pending key."""

    node: dict[str, Any] | list[Any]
    anchor: str | None
    position: Position
    marks: _Marks = field(default_factory=dict)
    key: str | None = None
    key_position: Position | None = None
    size: int = 1


class _Reader:
    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.problems: list[Problem] = []
        self.marks: dict[int, _Marks] = {}
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.root: Any = None
        self.start: Position | None = None

    def read(self) -> Document:
        for event in self._events():
            handler = getattr(self, f"_on_{type(event).__name__}", None)
            if handler is not None:
                handler(event)
        if self.start is None:
            raise self._stop_at(Position(1, 1), "yaml-syntax", "the document is empty")
        return Document(
            self.name, self.text, self.root, tuple(self.problems), self.start, self.marks
        )

    def _events(self) -> Iterator["Event"]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        # The scanner reads a raw tab as an error; between the tokens of JSON it is a space.
        text = self.text.replace("\t", " ") if _is_json(self.text) else self.text
        here = Position(1, 1)
        yaml = YAML(typ="safe", pure=True)
        self.resolver = yaml.resolver
        try:
            for event in yaml.parse(text):
                here = _position(event.start_mark)
                yield event
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = " ".join(filter(None, [error.context, error.problem]))
            message = next((said for cue, said in _PLAINLY.items() if cue in message), message)
            where = _position(mark) if mark else here
            raise self._stop_at(where, "yaml-syntax", " ".join(message.split())) from None
        except YAMLError as error:
            at = getattr(error, "position", 0)
            line = text.count("\n", 0, at) + 1
            where = Position(line, at - text.rfind("\n", 0, at))
            message = f"the character {shown(text[at : at + 1])} is not allowed in YAML"
            raise self._stop_at(where, "yaml-syntax", message) from None
        except (ValueError, OverflowError, AssertionError, AttributeError, TypeError) as error:
            # The scanner's own slips on escapes such as "\UFFFFFFFF" and odd directives.
            message = f"not readable as YAML: {shown(str(error))}"
            raise self._stop_at(here, "yaml-syntax", message) from None

    # One method per event; the others (stream start and end, document end) say nothing.

    def _on_DocumentStartEvent(self, event: Any) -> None:  # noqa: N802 - ruamel's name
        where = _position(event.start_mark)
        if self.start is not None:
            raise self._stop_at(where, "yaml-syntax", "a second document; keep one per file")
        if event.version is not None or event.tags:
            raise self._stop_at(
                where, "yaml-syntax", "% directives are not supported; leave it out"
            )

    def _on_MappingStartEvent(self, event: Any) -> None:  # noqa: N802
        self._begin({}, event)

    def _on_SequenceStartEvent(self, event: Any) -> None:  # noqa: N802
        self._begin([], event)

    def _on_MappingEndEvent(self, _event: Any) -> None:  # noqa: N802
        self._end()

    def _on_SequenceEndEvent(self, _event: Any) -> None:  # noqa: N802
        self._end()

    def _on_ScalarEvent(self, event: "ScalarEvent") -> None:  # noqa: N802
        where = _position(event.start_mark)
        self._refuse_tag(event, where)
        value = self._scalar(event, where)
        if event.anchor:
            self.anchors[event.anchor] = (value, 1)
        self._place(value, 1, where)

    def _on_AliasEvent(self, event: Any) -> None:  # noqa: N802
        where = _position(event.start_mark)
        if event.anchor not in self.anchors:
            message = f"*{event.anchor} has no &{event.anchor} before it"
            raise self._stop_at(where, "yaml-syntax", message)
        value, size = self.anchors[event.anchor]
        self._place(value, size, where)

    def _begin(self, node: dict[str, Any] | list[Any], event: Any) -> None:
        where = _position(event.start_mark)
        self._refuse_tag(event, where)
        if len(self.open) >= MAX_DEPTH:
            raise self._stop_at(where, "too-deep", f"nested more than {MAX_DEPTH} levels deep")
        self.start = self.start or where
        self.open.append(_Open(node, event.anchor, where))

    def _end(self) -> None:
        done = self.open.pop()
        self.marks[id(done.node)] = done.marks
        if done.anchor:
            self.anchors[done.anchor] = (done.node, done.size)
        self._place(done.node, done.size, done.position)

    def _place(self, value: Any, size: int, where: Position) -> None:
        """Put a finished value where it belongs; aliases count with all that they stand for."""
        self.start = self.start or where
        if not self.open:
            self.root = value
            return
        parent = self.open[-1]
        if isinstance(parent.node, list):
            parent.marks[len(parent.node)] = (where, where)
            parent.node.append(value)
        elif parent.key is None:
            self._take_key(parent, value, where)
            return
        else:
            if parent.key_position is not None:
                parent.marks[parent.key] = (parent.key_position, where)
                parent.node[parent.key] = value
            parent.key = None
        parent.size += size
        if parent.size > MAX_VALUES:
            message = f"more than {MAX_VALUES} values once its aliases are written out"
            raise self._stop_at(where, "too-large", message)

    def _take_key(self, parent: _Open, key: Any, where: Position) -> None:
        """Note the key whose value comes next; without a position that value is dropped."""
        parent.key, parent.key_position = str(key), None
        if not isinstance(key, str):
            name = "a list or mapping" if isinstance(key, dict | list) else json.dumps(key)
            message = f"{name} is used as a name, but is not text; put it in quotes or rename it"
            self._note(where, "key-not-text", message)
        elif key == "<<":
            message = "merge keys are not supported; write the fields out, or use $defs and $ref"
            self._note(where, "merge-key", message)
        elif key in parent.marks:
            first = parent.marks[key][0].line
            message = f"{shown(key)} stands twice (first on line {first}); remove one"
            self._note(where, "duplicate-key", message)
        else:
            parent.key_position = where

    def _scalar(self, event: "ScalarEvent", where: Position) -> Any:
        from ruamel.yaml.nodes import ScalarNode

        text = self._text(event.value, where)
        if event.style is not None:
            return text
        tag = str(self.resolver.resolve(ScalarNode, text, (True, False)))
        match tag.removeprefix(_CORE):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" | "float":
                return self._number(text, where)
            case _:
                return text  # dates too: JSON Schema knows them as text

    def _number(self, text: str, where: Position) -> int | float | str:
        plain = text.replace("_", "")
        value: int | float
        try:
            try:
                value = int(plain, 0) if plain[:2].lower() in {"0x", "0o", "0b"} else int(plain)
            except ValueError:
                value = float(plain.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            if len(plain) < 400:  # noqa: PLR2004 - no number at all, or one that int() calls too long
                return text
            value = math.inf
        if not math.isfinite(value) or (isinstance(value, int) and not -_INT64 <= value < _INT64):
            message = (
                f"{shown(text)} is outside the range of numbers; leave it out or use a finite one"
            )
            self._note(where, "number-range", message)
            return 0
        return value

    def _text(self, text: str, where: Position) -> str:
        if text.isprintable() or not any("\ud800" <= c <= "\udfff" for c in text):
            return text
        try:  # JSON writes characters beyond 16 bit as two escapes
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            message = "half of a surrogate pair in a text; write the character itself"
            self._note(where, "lone-surrogate", message)
            return text.encode("utf-8", "replace").decode()

    def _refuse_tag(self, event: Any, where: Position) -> None:
        if event.tag is not None:
            tag = shown(str(event.tag))
            message = f"the tag {tag} is not supported; leave it out, and put text in quotes"
            self._note(where, "yaml-tag", message)

    def _note(self, where: Position, rule: str, message: str) -> None:
        self.problems.append(Problem(self.name, where.line, where.column, rule, one_line(message)))

    def _stop_at(self, where: Position, rule: str, message: str) -> DefinitionError:
        return _stop(self.name, where.line, where.column, rule, message)


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _position(mark: "StreamMark | Any") -> Position:
    return Position(mark.line + 1, mark.column + 1)
