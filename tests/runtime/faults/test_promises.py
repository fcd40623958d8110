"""docs/reliability.md: each sentence names a test that exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def promises() -> list[str]:
    """Return the sentences and rows of the page that promise something."""
    text = (ROOT / "docs" / "reliability.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith(("- ", "| "))]
    heads = {"| the function |", "| when |"}
    return [line for line in lines if not any(line.startswith(head) for head in heads)]


def test_each_promise_names_its_test() -> None:
    """No sentence stands without a test, and no test is named that does not exist."""
    files = [*(ROOT / "tests").rglob("*.py"), ROOT / "scythe_runtime" / "testing.py"]
    known = {n for f in files for n in re.findall(r"def (test_\w+)", f.read_text())}
    assert len(promises()) > 30
    for line in promises():
        named = re.findall(r"`(test_\w+)`", line)
        assert named, f"no test keeps this: {line}"
        assert set(named) <= known, f"there is no such test: {set(named) - known}"
