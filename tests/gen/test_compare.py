"""Generated specs beside the definition: what got lost is named, and what is no specs is not run."""

from pathlib import Path

import pytest
from generated import model_of

from scythe_gen.compare import compare_specs
from scythe_gen.errors import GeneratedCodeError
from scythe_gen.specs import specs_text

DEFINITION = """
input:
  a: {type: number, minimum: 2, maximum: 9, default: 3, x-unit: m, description: A length}
  b: {type: array, items: {type: string, pattern: "^x"}, minItems: 4}
  c: {enum: [one, two]}
  d: {$ref: "#/$defs/Box"}
  e: {type: number, optional: true}
  f: {format: file-reference}
output:
  y: number
  hourly: {x-frame: {hour: integer, heat: number}}
$defs:
  Box: {properties: {width: {type: number, exclusiveMaximum: 7}}}
"""


@pytest.mark.parametrize(
    ("written", "lost", "said"),
    [
        ("ge=2.0, ", "", "input.a: minimum should be 2.0, and is 'left out'"),
        ("le=9.0", "le=8.0", "input.a: maximum"),
        ("= 3.0", "= 4.0", "input.a: default"),
        ('"x-unit": "m"', '"x-unit": "km"', "input.a: x-unit"),
        ("A length", "A width", "input.a: description"),
        ('pattern="^x"', 'pattern="x"', "input.b.items: pattern"),
        ("min_length=4", "min_length=3", "input.b: minItems"),
        ('"one", "two"', '"one", "three"', "input.c: enum"),
        ("lt=7.0", "lt=8.0", "input.d.width: exclusiveMaximum"),
        ("e: float | None = None", "e: float | None", "input.e: required"),
        ("    f: FileReference\n", "", "input should have"),
        ("f: FileReference", "f: str", "input.f: format"),
        ("y: float", "y: int", "output.y: type"),
        ('"heat": "number"', '"heat": "string"', "output should have the frames"),
    ],
)
def test_what_differs_is_named(written: str, lost: str, said: str) -> None:
    """One change of the generated text is one message that says where."""
    model = model_of(DEFINITION)
    text = specs_text(model)
    compare_specs(model, text)
    assert written in text
    with pytest.raises(GeneratedCodeError) as caught:
        compare_specs(model, text.replace(written, lost))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "code",
    [
        "import os",
        "from os import system",
        "from scythe_runtime.engine import local_engine",
        "open('canary', 'w')",
        "x = open('canary', 'w')",
        "x = (lambda: open('canary', 'w'))()",
        "x = [open(name, 'w') for name in ['canary']]",
        "x = ''.__class__",
        'class A(BaseModel):\n    a: \'open("canary", "w")\'',
        'class A(BaseModel):\n    a: list[\'open("canary", "w")\']',
        "X = TypeAliasType('X', list['open(\"canary\", \"w\")'])",
        "class A(BaseModel, metaclass=type(open('canary', 'w'))): pass",
        "@open('canary', 'w')\nclass A(BaseModel): pass",
        "def f(a=open('canary', 'w')): pass",
        "if open('canary', 'w'): pass",
        'x: list[f\'{open("canary", "w")}\'] = []',
    ],
)
def test_what_is_no_specs_is_not_run(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should text of a definition ever become code, that code is refused before it runs."""
    monkeypatch.chdir(tmp_path)
    model = model_of(DEFINITION)
    with pytest.raises(GeneratedCodeError, match="is not what specs are made of"):
        compare_specs(model, f"{specs_text(model)}\n\n{code}\n")
    assert list(tmp_path.iterdir()) == []
