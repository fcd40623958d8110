"""Reading a document: positions, plain values, files that cannot be read, forms of messages."""

import json
from pathlib import Path

import pytest

from scythe_gen.document import MAX_BYTES, parse_text, read_document
from scythe_gen.errors import DefinitionError, Problem, format_problems
from scythe_gen.parse import parse
from scythe_gen.schema import Position

SMALL = "input:\n  a: {type: number}\noutput:\n  y: number\n"


def rules(error: DefinitionError) -> list[str]:
    """Return the rules that were broken."""
    return [problem.rule for problem in error.problems]


def test_positions_of_keys_and_values() -> None:
    """Keys, values and items are found by their path, counted from 1; past the end, the parent."""
    document = parse_text("a:\n  b: [x, y]\n")
    assert document.key(("a", "b")) == Position(2, 3)
    assert document.value(("a", "b")) == Position(2, 6)
    assert document.value(("a", "b", 1)) == Position(2, 10)
    assert document.value(("a", "b", "nothing")) == Position(2, 6)


def test_values_are_plain_json() -> None:
    """What YAML 1.1 and Python make of words, times and dates stays text; numbers are numbers."""
    text = "[NO, on, 12:30, 2024-01-01, 1e-3, 010, ~, true, 0x10]"
    assert parse_text(text).root == ["NO", "on", "12:30", "2024-01-01", 0.001, 10, None, True, 16]


def test_json_with_tabs_and_escaped_characters() -> None:
    """A JSON document reads as json.loads reads it."""
    text = json.dumps({"input": {"a": "café 😀", "b": [1.5, None]}}, indent="\t")
    assert parse_text(text).root == json.loads(text)


@pytest.mark.parametrize("data", [b"\xff\xfei\x00", b"a: \xe9", b"\x80" * 10])
def test_file_that_is_not_utf8(tmp_path: Path, data: bytes) -> None:
    """A file in another encoding is one problem, with a line."""
    path = tmp_path / "io.yaml"
    path.write_bytes(data)
    with pytest.raises(DefinitionError) as caught:
        read_document(path)
    assert rules(caught.value) == ["unreadable"]


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a folder are one problem each, under the name that was given."""
    for path in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(DefinitionError, match="cannot read the file") as caught:
            read_document(path)
        assert rules(caught.value) == ["unreadable"]
        assert caught.value.problems[0].file == str(path)


def test_file_that_is_too_large(tmp_path: Path) -> None:
    """A file that no definition needs is refused without being read to its end."""
    path = tmp_path / "io.yaml"
    path.write_bytes(b"# " + "é".encode() * MAX_BYTES)
    with pytest.raises(DefinitionError) as caught:
        read_document(path)
    assert rules(caught.value) == ["too-large"]


def test_byte_order_mark_is_no_part_of_the_document(tmp_path: Path) -> None:
    """A file saved by a Windows editor reads like any other."""
    path = tmp_path / "io.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert [field.position for field in parse(read_document(path)).inputs] == [Position(2, 3)]


def test_digest_counts_meaning_only() -> None:
    """Comments, layout, order of keywords and form of writing do not count; a bound does."""
    texts = [
        "input: {a: {type: number, minimum: 1, maximum: 2}}\noutput: {y: number}\n",
        "# a comment\noutput:\n  y: {type: number}\ninput:\n  a:\n    maximum: 2\n    minimum: 1\n    type: number\n",
        "input: {a: {$ref: '#/$defs/A'}}\noutput: {y: number}\n$defs: {A: {type: number, maximum: 2, minimum: 1}}",
    ]
    digests = {parse(parse_text(text)).digest for text in texts}
    assert len(digests) == 1
    other = texts[0].replace("maximum: 2", "maximum: 3")
    assert parse(parse_text(other)).digest not in digests


def test_order_of_fields_counts() -> None:
    """The columns of the results come in the document's order, so another order is another digest."""
    one, two = (
        parse(parse_text(f"input: {{{fields}}}\noutput: {{y: number}}\n"))
        for fields in ("a: number, b: number", "b: number, a: number")
    )
    assert [field.name for field in two.inputs] == ["b", "a"]
    assert one.digest != two.digest


PROBLEM = Problem("a:b,c.yaml", 3, 7, "bad-type", "100% wrong\nreally")


def test_problems_for_github() -> None:
    """Properties and message are escaped as workflow commands want it."""
    assert format_problems([PROBLEM], "github") == (
        "::error file=a%3Ab%2Cc.yaml,line=3,col=7,title=bad-type::bad-type: 100%25 wrong%0Areally"
    )


def test_problems_as_json() -> None:
    """The JSON form has each part by name."""
    assert json.loads(format_problems([PROBLEM], "json")) == [
        {
            "file": "a:b,c.yaml",
            "line": 3,
            "column": 7,
            "rule": "bad-type",
            "message": "100% wrong\nreally",
        }
    ]


def test_problems_are_sorted_by_position_and_not_repeated() -> None:
    """The order is that of the document, whatever was checked first."""
    text = "output:\n  y: {type: nubmer}\ninput:\n  a: {type: number, minimun: 1}\n  b: {type: x}\n"
    with pytest.raises(DefinitionError) as caught:
        parse(parse_text(text))
    assert [problem.line for problem in caught.value.problems] == [2, 4, 5]
    assert str(caught.value).count("\n") == 2
