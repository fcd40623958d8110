"""The guide's blocks run, in its order, and print what they should."""

import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs/guide.md"


def test_every_block_of_the_guide_runs(tmp_path):
    """A block that begins with a file's name is that file; the others are one script, without a guard."""
    script = []
    for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL):
        name = re.match(r"# (\w+\.py)\n", block)
        if name:
            (tmp_path / name[1]).write_text(block)
        else:
            script.append(block)
    assert len(script) == 7
    (tmp_path / "guide.py").write_text("\n".join(script))
    done = subprocess.run(
        [sys.executable, "guide.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for line in (
        "30.0",
        "100 specs: 99 succeeded, 1 failed",
        "ValueError  nobody heats to 45.0 °C",
        "['v1.0.0']",
        "scythe/room/v1.0.0/",
        "specs=100 succeeded=99 failed=1 pending=0",
        "99 1",
        "30.0 (3, 1)",
    ):
        assert line in done.stdout
    assert "1 spec failed" in done.stderr
    assert (tmp_path / "brought/final/scalars.pq").is_file()
    assert len(list((tmp_path / "brought/results/profile").iterdir())) == 99
