"""A run of 2,000 specs that somebody else ends: what is committed stays, and resume runs the rest."""

import sys

import pytest
from fault_field import Field

from scythe_runtime import open_run
from scythe_runtime.cli import main

MIDDLE = 1000
BATCH = 50


def scythe(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Return the exit code of the command line."""
    monkeypatch.setattr(sys, "argv", ["scythe", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_a_run_of_another_process_is_ended(
    field: Field, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`scythe cancel` does what Ctrl-C does in the process that leads the run, and says how to go on."""
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # as in the background of a script
    process = field.start_elsewhere({MIDDLE: "wait-once"}, first=deaf, batch_size=BATCH)
    field.middle()
    assert scythe(monkeypatch, "cancel", "field") == 0
    run = open_run("field")
    assert f"scythe resume {run.experiment_id}" in capfd.readouterr().out
    process.wait(10)
    ledger = run.ledger()
    assert 0 < ledger.num_done < field.n
    assert (run.manifest.cause, len(run.table())) == ("interrupted", ledger.num_done)
    assert run.resume().result().state == "complete"
    field.assert_whole(run)


def test_ones_own_run_is_ended(field: Field) -> None:
    """A reference ends its run: result() says what is pending."""
    run, ref = field.start({MIDDLE: "wait-once"}, batch_size=BATCH)
    field.middle()
    ref.cancel()
    result = ref.result()
    assert (result.cause, result.pending > 0) == ("interrupted", True)
    assert run.resume().result().state == "complete"
    field.assert_whole(run)


@pytest.mark.parametrize("ended", [True, False])
def test_there_must_be_something_to_cancel(
    field: Field,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    ended: bool,  # noqa: FBT001 - a parameter
) -> None:
    """A run that has ended, or whose process is gone, is one message; exit code 2."""
    if ended:
        field.start({})[1].result()
    else:
        process = field.start_elsewhere({MIDDLE: "wait-once"}, batch_size=BATCH)
        field.middle()
        process.kill()
        process.wait()
    assert scythe(monkeypatch, "cancel", "field") == 2
    said = capfd.readouterr().err
    assert ("has ended" if ended else "no process of this machine leads") in said
    assert "Traceback" not in said
