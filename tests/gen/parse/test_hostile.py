"""Whatever a document holds: a model or problems with positions, soon, and nothing else happens."""

import json
import keyword
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scythe_gen import keywords
from scythe_gen.document import parse_text
from scythe_gen.errors import DefinitionError
from scythe_gen.parse import parse
from scythe_gen.schema import IOModel
from scythe_runtime.reserved import INPUT_NAMES, MODEL_MEMBERS, OUTPUT_NAMES

NASTY = st.sampled_from(
    [
        '"""', "'", "\\", "\n", "\u2028", "{{ 7*7 }}", "__import__('os')", "../../x", "class", "__class__",
        "\ud800", "\0", "$ref", "#/$defs/A", "%", "(a+)+$", "9**9**9", "😀", "", "-", "null", "1e999",
    ]
)  # fmt: skip
TEXT = st.one_of(NASTY, st.text(max_size=8))
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([2**63, -1, 0, 1e308]))
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
KEYWORDS = st.sampled_from(sorted(keywords.SCHEMA | {"optional", "customTypePath", "not"}))
TYPES = st.sampled_from([*keywords.TYPES, "nubmer"])
SCHEMAS = st.recursive(
    st.one_of(
        st.builds(
            lambda kind, more: {"type": kind, **more},
            TYPES,
            st.dictionaries(KEYWORDS, VALUES, max_size=3),
        ),
        st.sampled_from(keywords.SHORTHAND),
        st.builds(lambda name: {"$ref": f"#/$defs/{name}"}, st.sampled_from("ABC")),
        LEAVES,
    ),
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda parts: {"prefixItems": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda fields: {"properties": fields}, st.dictionaries(TEXT, inner, max_size=3)),
    ),
    max_leaves=6,
)
NAMES = st.one_of(
    st.sampled_from(["a", "b", "y", "class", "dict", "sort_index", "fetch_uri"]), TEXT
)
SIDES = st.dictionaries(NAMES, SCHEMAS, max_size=4)
SHORT = st.fixed_dictionaries(
    {"input": SIDES, "output": SIDES},
    optional={
        "$defs": st.dictionaries(st.sampled_from("ABC"), SCHEMAS, max_size=3),
        "x-sampling": VALUES,
        "title": TEXT,
    },
)
FULL = st.builds(
    lambda short: {
        **{key: value for key, value in short.items() if key not in {"input", "output"}},
        "properties": {
            side: {"type": "object", "properties": short[side], "required": list(short[side])[:2]}
            for side in ("input", "output")
        },
    },
    SHORT,
)


def outcome(text: str) -> IOModel | DefinitionError:
    """Return the model or the problems of a text."""
    try:
        return parse(parse_text(text))
    except DefinitionError as error:
        return error


def check(text: str) -> None:
    """Check what holds for any document."""
    found = outcome(text)
    if isinstance(found, DefinitionError):
        lines = text.count("\n") + 1
        assert found.problems
        for problem in found.problems:
            assert 1 <= problem.line <= lines + 1
            assert problem.column >= 1
            assert len(str(problem).splitlines()) == 1
            str(problem).encode()
        return
    names = [field.name for field in (*found.inputs, *found.outputs)]
    assert len(set(names)) == len(names)
    for name in (*names, *found.definitions):
        assert name.isidentifier()
        assert name.isascii()
        assert not keyword.iskeyword(name)
    assert not {field.name for field in found.inputs} & INPUT_NAMES
    assert not {field.name for field in found.outputs} & OUTPUT_NAMES
    json.dumps(
        [field.schema for field in (*found.inputs, *found.outputs)], allow_nan=False
    ).encode()


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(SHORT, FULL, VALUES))
def test_any_document(document: Any) -> None:
    """Any JSON document is a clean model, or problems on one line each within the document."""
    check(json.dumps(document, indent=1))


@settings(max_examples=250, deadline=None)
@given(st.one_of(st.text(), st.text(alphabet=":-{}[],&*!|>'\"%@` \n\tab<#?0\\u")))
def test_any_text(text: str) -> None:
    """Any text is a model or problems, never another exception."""
    check(text)


@pytest.mark.parametrize("name", sorted(MODEL_MEMBERS | INPUT_NAMES))
def test_members_of_base_classes_are_no_names(name: str) -> None:
    """No input is called like a member of the class that it becomes a field of."""
    found = outcome(f"input: {{{name}: number}}\noutput: {{y: number}}\n")
    assert isinstance(found, DefinitionError)
    assert [problem.rule for problem in found.problems] == ["reserved-name"]


def test_thousands_of_mistakes_are_all_told() -> None:
    """A definition with a mistake in each of its fields names every one."""
    mistaken = outcome("input:\n" + "".join(f"  f{i}: {{typ: x}}\n" for i in range(2_000)))
    assert isinstance(mistaken, DefinitionError)
    assert len(mistaken.problems) == 4_001


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "a: " + "&a " * 1000,
        "input: {a: {type: string, pattern: '" + "(" * 900 + ")" * 900 + "'}}\noutput: {y: number}",
        "input: {a: {type: string, pattern: '" + "(a{9}){9}" * 100 + "'}}\noutput: {y: number}",
        "input: {a: {type: number, x-unit: 9^9^9^9}}\noutput: {y: number}",
        "input: {a: {type: number, x-unit: m^(9^(9^9))}}\noutput: {y: number}",
        "input: {a: {type: number, x-unit: 9^99^99 m}}\noutput: {y: number}",
        "input: {a: {type: number, x-unit: (((9^99)^99)^99)^99}}\noutput: {y: number}",
        "input: {a: {type: number, multipleOf: 1e-300, default: 1e300}}\noutput: {y: number}",
        "a: 1" + "0" * 100_000,
        "a: 1e" + "9" * 1000,
    ],
)
def test_bombs_end_soon(text: str) -> None:
    """What is made to take for ever is refused in a moment."""
    start = time.monotonic()
    check(text)
    assert time.monotonic() - start < 15


CANARY = """
import os, socket, sys, urllib.request
def trip(*_, **__):
    raise SystemExit("the document reached out")
os.system = os.popen = socket.socket.connect = urllib.request.urlopen = trip
from pathlib import Path
from scythe_gen.document import parse_text
from scythe_gen.errors import DefinitionError
from scythe_gen.parse import parse
before = set(sys.modules)
for case in Path(sys.argv[1]).iterdir():
    try:
        parse(parse_text((case / "io.yaml").read_text("utf-8")))
    except DefinitionError:
        pass
assert not {"this", "antigravity", "requests", "httpx"} & set(sys.modules)
"""


def test_nothing_of_a_document_is_executed_or_fetched(request: pytest.FixtureRequest) -> None:
    """Over all case folders nothing is run, nothing connects, no module of a document is imported."""
    cases = request.config.rootpath / "tests/cases/parse"
    done = subprocess.run(
        [sys.executable, "-c", CANARY, str(cases)], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_parsing_imports_no_vendor_it_does_not_need() -> None:
    """Without a unit there is no pint, and never pandas, numpy, copier or a code generator."""
    code = (
        "import sys\n"
        "from scythe_gen.document import parse_text\n"
        "from scythe_gen.parse import parse\n"
        "parse(parse_text('input: {a: {type: number, default: 1}}\\noutput: {y: number}'))\n"
        "print({'pint', 'pandas', 'numpy', 'copier', 'datamodel_code_generator'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


BASES = (
    "type: number",
    "type: string",
    "type: array, items: number",
    "enum: [a]",
    "prefixItems: [number]",
    "properties: {a: number}",
    "oneOf: [{$ref: '#/$defs/B'}, {$ref: '#/$defs/C'}]",
)
ODD_VALUES = (
    "[1]",
    "{a: 1}",
    "~",
    "3",
    "true",
    "''",
    "[~]",
    "1.5",
    "{dist: [1]}",
    "{dist: uniform, low: [1]}",
)


@pytest.mark.parametrize("word", sorted(keywords.SCHEMA | {"optional"}))
def test_any_keyword_with_any_value(word: str) -> None:
    """A keyword with a value of the wrong sort, beside any kind of value, is no traceback."""
    for base in BASES:
        for value in ODD_VALUES:
            check(
                f"input: {{a: {{{base}, {word}: {value}}}}}\noutput: {{y: {{{base}, {word}: {value}}}}}\n"
                "$defs: {B: {properties: {k: {const: b}}}, C: {properties: {k: {const: c}}}}\n"
            )
