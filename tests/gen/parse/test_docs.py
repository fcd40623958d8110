"""docs/definition.md is right: each example parses, each rule has a case, each case's rule is listed."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from scythe_gen import keywords
from scythe_gen.document import parse_text
from scythe_gen.parse import parse
from scythe_runtime.sampling.rules import variable_from_schema

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/definition.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml( input)?\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
META_SCHEMA = json.loads((ROOT / "schemas/io.schema.json").read_text("utf-8"))


@pytest.mark.parametrize(("fragment", "example"), EXAMPLES)
def test_example(fragment: str, example: str) -> None:
    """An example of the page is a good definition, for the parser and for an editor."""
    if fragment:
        inputs = "".join(f"  {line}\n" for line in example.splitlines())
        example = f"input:\n{inputs}output:\n  y: number\n"
    document = parse_text(example)
    assert parse(document).inputs
    assert list(Draft7Validator(META_SCHEMA).iter_errors(document.root)) == []


def test_every_rule_is_listed_and_shown() -> None:
    """The page lists exactly the rules that the case folders and the tests of files bring about."""
    listed = set(
        re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)))
    )
    found = {"unreadable"}  # of files, in test_document.py
    for case in (ROOT / "tests/cases/parse").glob("*/stderr.txt"):
        found |= {line.split(": ")[1] for line in case.read_text("utf-8").splitlines()}
    assert listed == found


def test_meta_schema_knows_the_same_keywords() -> None:
    """What an editor completes is what the parser knows."""
    definitions = META_SCHEMA["definitions"]
    assert set(definitions["keywords"]["properties"]) == keywords.SCHEMA | {"optional"}
    assert set(definitions["short"]["properties"]) == keywords.SHORT_ROOT
    assert set(definitions["full"]["properties"]) == keywords.FULL_ROOT


def test_meta_schema_knows_the_same_distributions() -> None:
    """Every distribution that an editor offers is one that the sampler knows."""
    for dist in META_SCHEMA["definitions"]["sample"]["properties"]["dist"]["enum"]:
        schema = {"type": "number", "x-sample": {"dist": dist}}
        _, problems = variable_from_schema("x", schema, required=True)
        assert "unknown-dist" not in {problem.rule for problem in problems}
