"""Slots find the task in a module or in the script that allocates, or say why not."""

import os
import subprocess
import sys
import textwrap

import pytest
from slot_fields import HERE, batches, task

from scythe_runtime.engine._load import task_ref
from scythe_runtime.errors import SlotStartError

PREAMBLE = f"""
import sys
sys.path[:0] = {[HERE, *sys.path]!r}
from scythe_runtime.engine._load import StopLoading, loading_main, task_ref
from scythe_runtime.engine._pool import SlotPool
from slot_fields import batches

def double(x):
    return 2 * x

def allocate():
    if loading_main():
        raise StopLoading
    folder = sys.argv[1]
    pool = SlotPool(task_ref(double), runner=RUNNER, runner_args=(folder,), slots=2, timeout_s=None)
    counts = []
    pool.run(batches(20, 5), lambda batch, report: counts.append(report.succeeded))
    pool.close()
    print("committed", sum(counts))
"""
UNGUARDED = PREAMBLE + 'RUNNER = "slot_tasks:Runner"\nprint("top")\nallocate()\nprint("end")\n'
GUARDED = PREAMBLE + 'RUNNER = "slot_tasks:Runner"\nif __name__ == "__main__":\n    allocate()\n'


@pytest.mark.parametrize("start", ["auto", "popen"])
@pytest.mark.parametrize("text", [UNGUARDED, GUARDED], ids=["unguarded", "guarded"])
def test_a_script(tmp_path, text, start):
    """A script's own function runs, with and without the guard; the script itself runs once."""
    script = tmp_path / "my study.py"
    script.write_text(text)
    answer = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SCYTHE_SLOT_START": start},
    )
    assert answer.stderr == ""
    expected = ["committed 20"] if text is GUARDED else ["top", "committed 20", "end"]
    assert answer.stdout.splitlines() == expected


def test_a_script_under_a_profiler(tmp_path):
    """A script's function is found in the script even where another program runs it."""
    script = tmp_path / "study.py"
    script.write_text(UNGUARDED)
    answer = subprocess.run(
        [sys.executable, "-m", "cProfile", "-o", os.devnull, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stderr == ""
    assert answer.stdout.splitlines() == ["top", "committed 20", "end"]


def test_a_module_run_as_a_script(tmp_path):
    """`python -m package.module` is found again by the module's name."""
    package = tmp_path / "study"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "go.py").write_text(UNGUARDED)
    answer = subprocess.run(
        [sys.executable, "-m", "study.go", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stderr == ""
    assert answer.stdout.splitlines() == ["top", "committed 20", "end"]


def test_a_function_from_standard_input(tmp_path):
    """A function that no other process can find is refused early, with the way out."""
    answer = subprocess.run(
        [sys.executable, "-", str(tmp_path)],
        input=UNGUARDED,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "UsageError: the task 'double' is defined in a notebook cell" in answer.stderr
    assert "Move it to a module" in answer.stderr


def test_a_reference_is_absolute():
    """A reference names module, function and folders that do not depend on the working directory."""
    ref = task_ref(textwrap.dedent, name="other")
    assert (ref.module, ref.name, ref.main_path) == ("textwrap", "other", None)
    assert all(os.path.isabs(entry) for entry in ref.sys_path)  # noqa: PTH117


BROKEN = {
    "raises": ("import math\n\nmath.sqrt(-1)\n", "ValueError: math domain error"),
    "syntax": ("def f(:\n", "SyntaxError"),
    "imports": ("import no_such_library\n", "No module named 'no_such_library'"),
    "exits": ("import sys; sys.exit(2)\n", "sys.exit(2)"),
    "asks": ("input('which?')\n", "EOFError"),
    "dies": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n", "killed by SIGKILL"),
}


@pytest.mark.parametrize(
    ("kind", "start"),
    [*((kind, "auto") for kind in BROKEN), ("raises", "popen"), ("dies", "popen")],
)
def test_a_module_that_does_not_load(field, kind, start):
    """The error says what happened where in the user's code, and shows none of ours."""
    text, said = BROKEN[kind]
    (field.folder / "broken.py").write_text(text)
    pool = field.pool(task=task("broken", at=str(field.folder)), start=start)
    with pytest.raises(SlotStartError) as raised:
        pool.run(batches(5, 5), field.note)
    message = str(raised.value)
    assert said in message
    assert "broken" in message or (kind, start) == ("dies", "popen")
    assert "importlib" not in message
    assert "_load.py" not in message
    if kind == "raises":
        assert 'broken.py", line 3, in <module>' in message
    assert field.outcomes() == {}


def test_a_module_that_is_not_there(field):
    """A module that does not exist is named."""
    with pytest.raises(SlotStartError, match="No module named 'nowhere'"):
        field.pool(task=task("nowhere")).run(batches(5, 5), field.note)


def test_a_runner_that_cannot_be_made(field):
    """What the runner's own start raises reaches the caller."""
    with pytest.raises(SlotStartError, match="TypeError"):
        field.pool(runner_args=(1, 2, 3, 4, 5)).run(batches(5, 5), field.note)


def test_a_module_that_starts_threads(field):
    """Slots of a module with threads are started afresh, where its threads live, and not forked."""
    (field.folder / "threaded.py").write_text(
        "import threading\n"
        "alive = threading.Thread(target=threading.Event().wait, daemon=True)\n"
        "alive.start()\n"
    )
    pool = field.pool({0: "needs-thread"}, task=task("threaded", at=str(field.folder)))
    pool.run(batches(10, 5), field.note)
    assert field.failures() == {}
    assert field.outcomes().keys() == set(range(10))


def test_a_wide_path(field):
    """Folders with spaces and letters beyond ASCII do no harm."""
    odd = field.folder / "a ä ' b"
    odd.mkdir()
    (odd / "there.py").write_text("x = 1\n")
    field.pool(task=task("there", at=str(odd))).run(batches(5, 5), field.note)
    assert len(field.outcomes()) == 5
