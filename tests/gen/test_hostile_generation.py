"""Hostile documents: what is accepted compiles and imports, what is refused has a position, nothing is run.

The documents run in a program of their own (hostile_run.py), whose audit hook sees each file, program,
connection and import. `pytest -s` shows how many were accepted, and which rules refused the others.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scythe_gen.document import parse_text
from scythe_gen.errors import DefinitionError
from scythe_gen.parse import parse

ROOT = Path(__file__).parents[2]
CASES = sorted((ROOT / "tests/cases/hostile").iterdir())


def run(documents: list[str], folder: Path) -> dict[str, int]:
    """Return the counts of documents, once nothing has gone wrong with any of them."""
    program = Path(__file__).with_name("hostile_run.py")
    done = subprocess.run(
        [sys.executable, "-B", str(program)],  # -B: Python itself would write pyc files
        input=json.dumps(documents),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["wrong"][:3] == []
    assert list(folder.iterdir()) == []
    counts: dict[str, int] = found["counts"]
    print("\n" + "\n".join(f"{number:6} {what}" for what, number in sorted(counts.items())))
    return counts


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_messages_of_a_case(case: Path) -> None:
    """A hand-made document gives exactly the messages of its folder, or none where there are none.

    After a wanted change: SCYTHE_REGENERATE=1 pytest tests/gen/test_hostile_generation.py, and read the difference.
    """
    try:
        parse(parse_text((case / "io.yaml").read_text("utf-8"), "io.yaml"))
        messages = None
    except DefinitionError as error:
        messages = f"{error}\n"
    path = case / "stderr.txt"
    if os.environ.get("SCYTHE_REGENERATE"):
        path.unlink(missing_ok=True)
        if messages:
            path.write_text(messages, "utf-8")
    assert messages == (path.read_text("utf-8") if path.exists() else None)


def test_hand_made_documents_do_nothing(tmp_path: Path) -> None:
    """Every hand-made document is refused with a position, or becomes code that imports and does nothing else."""
    counts = run([(case / "io.yaml").read_text("utf-8") for case in CASES], tmp_path)
    refused = sum((case / "stderr.txt").exists() for case in CASES)
    assert counts["refused"] == refused
    assert counts["accepted"] == len(CASES) - refused


def test_ten_thousand_fields(tmp_path: Path) -> None:
    """A definition of 10,000 fields becomes a class of 10,000 fields."""
    fields = "".join(f"  f{i}: {{type: number, minimum: 0, default: 1}}\n" for i in range(10_000))
    assert run([f"input:\n{fields}output: {{y: number}}\n"], tmp_path) == {"accepted": 1}


def test_canary_sings(tmp_path: Path) -> None:
    """The program sees what it looks for: a spec that were to write, start or import would not pass."""
    code = (
        "import sys; sys.argv = ['x']; import hostile_run as h, os, subprocess; h.watching = True\n"
        "open('CANARY', 'w').close(); import this; os.system('true'); subprocess.run(['true'])\n"
        "print(len([e for e in h.seen if e.split()[0] in {'open', 'import', 'os.system', 'subprocess.Popen'}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout.split()[-1]) >= 4


NASTY = [
    '"""', "'''", "\\", "\n", "\r\n", "\u2028", "\0", "\x1b[31m", "\u202e", "{{ 7*7 }}", "{% raw %}", "${HOME}", "`id`",
    "__import__('os').system('touch CANARY')", "'); open('CANARY', 'w') #", '"""\nimport this\n"""', "]\nimport this\n",
    "../../x", "/etc/passwd", "class", "__class__", "os.system", "%s", "{0}", "9**9", "é", "😀", "", " ", "null", "1e999",
]  # fmt: skip
TEXT = st.one_of(
    st.sampled_from(NASTY),
    st.lists(st.sampled_from(NASTY), min_size=2, max_size=3).map("".join),
    st.text(max_size=12),
)


def rarely(
    hostile: st.SearchStrategy[Any], usual: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Return what is usual, and now and then the other."""
    return st.integers(0, 29).flatmap(lambda number: hostile if number == 17 else usual)


WORD = st.sampled_from(
    ["date", "Path", "Field", "Box", "value", "kind", "Any", "x1", "annotations"]
)
NAME = rarely(TEXT, WORD)
NUMBER = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
)


def with_notes(schema: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return schemas with text in every place that takes text."""
    notes = st.fixed_dictionaries(
        {},
        optional={
            "title": TEXT,
            "description": TEXT,
            "$comment": TEXT,
            "x-mine": TEXT,
            "examples": st.lists(st.one_of(TEXT, NUMBER, st.dictionaries(TEXT, TEXT)), max_size=2),
        },
    )
    return st.builds(lambda one, other: {**other, **one}, schema, notes)


def both(values: list[str]) -> dict[str, Any]:
    """Return an enum with one of its values as default."""
    return {"enum": values, "default": values[-1]}


TEXTS = st.lists(TEXT, min_size=1, max_size=3, unique=True)
SCALAR = with_notes(
    st.one_of(
        st.builds(lambda text: {"type": "string", "default": text}, TEXT),
        st.builds(lambda text: {"const": text}, TEXT),
        TEXTS.map(both),
        st.builds(
            lambda text: {"type": "string", "pattern": text},
            rarely(TEXT, st.sampled_from(['^"""', "\\\\'", "\n", "[{]{2}", "\u2028$", '");x'[1:]])),
        ),
        st.builds(lambda low: {"type": "number", "minimum": low}, NUMBER),
        st.builds(lambda value: {"type": "integer", "default": value}, NUMBER),
        st.builds(lambda text: {"format": "file-reference", "default": text}, TEXT),
        st.builds(lambda text: {"type": "number", "x-unit": text}, rarely(TEXT, st.just("m"))),
        st.builds(
            lambda values: {"type": "string", "x-sample": {"dist": "values", "values": values}},
            TEXTS,
        ),
        st.builds(lambda text: {"format": "date", "default": text}, TEXT),
        st.just({"$ref": "#/$defs/Box"}),
        st.sampled_from(["number", "string", "file", "integer"]).map(lambda kind: {"type": kind}),
    )
)
SCHEMA = st.recursive(
    SCALAR,
    lambda inner: with_notes(
        st.one_of(
            st.builds(lambda items: {"type": "array", "items": items}, inner),
            st.builds(
                lambda parts: {"prefixItems": parts}, st.lists(inner, min_size=1, max_size=2)
            ),
            st.builds(lambda more: {"additionalProperties": more}, inner),
            st.builds(
                lambda fields: {"properties": fields},
                st.dictionaries(NAME, inner, min_size=1, max_size=2),
            ),
            st.builds(lambda part: {"anyOf": [part, {"type": "null"}]}, inner),
        )
    ),
    max_leaves=3,
)
HOSTILE_KEYS = st.sampled_from(
    ["customTypePath", "customBasePath", "x-python-import", "$ref", "not", "if", "uniqueItems"]
)
FIELDS = rarely(
    st.builds(lambda schema, key, text: {"a": {**schema, key: text}}, SCALAR, HOSTILE_KEYS, TEXT),
    st.dictionaries(NAME, SCHEMA, min_size=1, max_size=2),
)
FRAME = st.builds(
    lambda name, text: {
        "description": text,
        "x-frame": {name: {"type": "number", "description": text}},
    },
    NAME,
    TEXT,
)
DOCUMENT = st.builds(
    lambda inputs, outputs, frame, box, tag, text: {
        "title": text,
        "description": text,
        "input": inputs,
        "output": {**{f"{name}_out": schema for name, schema in outputs.items()}, "table": frame},
        "$defs": {"Box": {"title": text, "description": tag, "properties": {"kind": {"const": tag}, **box}}},
    },
    FIELDS,
    st.dictionaries(NAME, SCALAR.filter(lambda schema: "x-sample" not in schema), max_size=1),
    FRAME,
    st.dictionaries(st.just("more"), SCALAR.filter(lambda s: "$ref" not in s and "x-sample" not in s), max_size=1),
    TEXT,
    TEXT,
)  # fmt: skip


def test_five_hundred_documents_do_nothing(tmp_path: Path) -> None:
    """500 documents with nasty strings in every place: many accepted, many refused, none does anything."""
    documents: list[str] = []

    @settings(
        max_examples=500,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(DOCUMENT)
    def collect(document: dict[str, Any]) -> None:
        documents.append(json.dumps(document, indent=1))

    collect()
    assert len(documents) >= 500
    counts = run(documents[:500], tmp_path)
    assert counts["accepted"] + counts["refused"] == 500
    assert counts["accepted"] > 100
    assert counts["refused"] > 100
