"""`scythe worker`, `scythe doctor` and `scythe status --follow` beside a real Hatchet engine."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from farm import HERE, Farm
from servers import Process, poll
from test_hatchet_messages import nowhere

SCYTHE = "import sys; from scythe_runtime.cli import main; sys.argv[0] = 'scythe'; main()"


def first_experiment(text: str) -> str:
    """Return a module's text up to its second experiment."""
    marker = "@ExperimentRegistry.Register"
    return text[: text.index(marker, text.index(marker) + 1)]


@pytest.fixture
def farm(new_farm: Callable[..., Farm]) -> Farm:
    """Return a repository of one experiment, as generated ones are, without workers."""
    farm = new_farm()
    task = farm.folder / "plot" / "task.py"
    text = task.read_text()
    task.write_text(first_experiment(text))
    (farm.folder / "plot" / "sampler.py").write_text("def sample(n, seed):\n    return []\n")
    return farm


def scythe(farm: Farm, *arguments: str, **env: str) -> tuple[int, str]:
    """Return exit code and output of a command line."""
    process = farm.python(
        SCYTHE.replace("'scythe';", f"'scythe'; sys.argv[1:] = {arguments!r};"), **env
    )
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def test_doctor_tells_of_engine_and_workers(farm: Farm) -> None:
    """Without a worker the doctor says what to start; with one, how many slots it has."""
    code, text = scythe(farm, "doctor")
    assert "answers and takes the token" in text
    assert "no worker serves scythe_experiment_add" in text
    assert code == 1
    farm.worker()
    poll(
        lambda: "1 workers with this code" in scythe(farm, "doctor")[1],
        within_s=40,
        what="the doctor sees the worker",
    )


WRONG: dict[str, tuple[Callable[[Farm], dict[str, str]], str]] = {
    "token": (
        lambda _: {"HATCHET_CLIENT_TOKEN": "secret"},
        "BAD   hatchet: HATCHET_CLIENT_TOKEN: ",
    ),
    "engine": (
        lambda farm: {"HATCHET_CLIENT_TOKEN": nowhere(farm.engine.token)},
        "does not answer. Is it running",
    ),
    "bucket": (lambda _: {"SCYTHE_STORAGE_BUCKET": "no-such-bucket"}, "BAD   store: "),
    "clock": (lambda farm: {"PYTHONPATH": str(an_hour_ahead(farm))}, "Set them by NTP"),
}


def an_hour_ahead(farm: Farm) -> Path:
    """Return a folder whose presence on the path sets a process's clock an hour ahead."""
    folder = farm.folder.parent / "ahead"
    folder.mkdir()
    code = "import time\nreal = time.time\ntime.time = lambda: real() + 3600\n"
    (folder / "sitecustomize.py").write_text(code)
    return folder


@pytest.mark.parametrize("what", WRONG)
def test_doctor_finds_what_a_first_user_gets_wrong(farm: Farm, what: str) -> None:
    """Each mistake is one finding that says what to do; the other checks go on, and the exit code is 1."""
    env, message = WRONG[what]
    code, text = scythe(farm, "doctor", **env(farm))
    assert code == 1, text
    (line,) = [line for line in text.splitlines() if message in line]
    assert line.startswith("BAD ")
    assert "Traceback" not in text
    assert "ok    repository: plot" in text


def test_status_lists_workers_that_differ(farm: Farm, new_farm: Callable[..., Farm]) -> None:
    """Of a run that has not ended, status says how many workers fit, and of each other one in what it differs."""
    out = farm.run("""
from plot.task import *
from scythe_runtime import BaseExperiment
run, ref = BaseExperiment(runnable=add, run_name="plot").allocate([Sum(a=1, b=k) for k in range(9)])
print(run.experiment_id)
""")
    run_id = out.strip()
    code, text = scythe(farm, "status", run_id)
    assert code == 0, text
    assert "waiting: no worker serves scythe_experiment_add" in text
    changed = new_farm("changed")
    task = changed.folder / "plot" / "task.py"
    text = task.read_text().replace("    b: int = Field(ge=0)", "    b: int = Field(ge=1)")
    task.write_text(first_experiment(text))
    (changed.folder / "uv.lock").write_text("another one")
    changed.worker(SCYTHE_STORAGE_BUCKET=farm.bucket, SCYTHE_WORKER_NAME="changed")
    (farm.folder / "uv.lock").write_text("another one")
    farm.worker(SCYTHE_WORKER_DOES_LEAF="false", SCYTHE_WORKER_NAME="newer-packages")
    code, text = scythe(farm, "status", run_id)
    lines = text.splitlines()
    assert "workers with this code: 1, with 0 slots" in lines
    found = {
        line.split("--")[0]: line.partition("differs in ")[2] for line in lines if "differs" in line
    }
    assert found == {
        "worker changed": "the definition (io.yaml), the task's source, the packages (lock file): "
        "it gets no batches",
        "worker newer-packages": "the packages (lock file): it takes batches all the same",
    }


def test_following_a_run_that_nobody_leads(farm: Farm, tmp_path: Path) -> None:
    """`status --follow` says that there is no worker; it ends by Ctrl-C, or when the root is cancelled, and says how to go on."""
    begin = """
from plot.task import *
from scythe_runtime import BaseExperiment
run, ref = BaseExperiment(runnable=add, run_name="plot").allocate([Sum(a=1, b=k) for k in range(9)])
print(run.experiment_id, ref._driver._queue_id)
"""
    run_id, queue_id = farm.run(begin).split()
    # a shell's background job ignores Ctrl-C
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = f"'scythe'; sys.argv[1:] = ['status', '{run_id}', '--follow'];"
    said = tmp_path / "said"
    with said.open("w") as err:
        line = hears + SCYTHE.replace("'scythe';", command)
        following = farm.python(line, err=err)
        poll(lambda: "waiting: no worker" in said.read_text(), within_s=30, what="it says so")
        following.send_signal(signal.SIGINT)
        assert following.wait(20) == 130
    assert said.read_text().count("waiting:") == 1
    assert f"scythe status {run_id} --follow" in said.read_text()
    farm.run(f"from scythe_runtime.hatchet import hatchet; hatchet.runs.cancel({queue_id!r})")
    code, text = scythe(farm, "status", run_id, "--follow")
    assert code == 0
    assert f"scythe resume {run_id}" in text


def test_a_worker_with_an_embedded_hatchet(farm: Farm, tmp_path: Path) -> None:
    """`scythe worker --embedded` starts its own Hatchet, and tells who allocates how to reach it."""
    sidecar = tmp_path / "hatchet-embedded-sidecar"
    sidecar.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "sidecar.py"} "$@"\n')
    sidecar.chmod(0o755)
    env = {k: v for k, v in farm.env.items() if not k.startswith("HATCHET_")}
    env["HATCHET_CLIENT_EMBEDDED_BINARY_PATH"] = str(sidecar)
    code = SCYTHE.replace("'scythe';", "'scythe'; sys.argv[1:] = ['worker', '--embedded'];")
    script = tmp_path / "embedded.py"  # the queue's listener imports the script again
    script.write_text(f"if __name__ == '__main__':\n    {code}\n")
    log = tmp_path / "embedded.log"
    worker = Process([sys.executable, str(script)], log=log, env=env, cwd=farm.folder)
    try:
        poll(lambda: " serves " in log.read_text(), within_s=60, what="the embedded worker serves")
        lines = [
            line for line in log.read_text().splitlines() if line.startswith("HATCHET_CLIENT_")
        ]
        out = farm.run(
            """
from plot.task import *
from scythe_runtime import BaseExperiment
run, ref = BaseExperiment(runnable=add).allocate([Sum(a=1, b=k) for k in range(20)])
print(ref.result().succeeded)
""",
            **dict(line.split("=", 1) for line in lines),
        )
        assert out.strip() == "20"
    finally:
        worker.stop(signal.SIGTERM)


def test_without_a_sidecar_it_says_what_it_needs(farm: Farm, tmp_path: Path) -> None:
    """Where no engine can be embedded, one message says what is needed, with exit code 2."""
    code, text = scythe(
        farm,
        "worker",
        "--embedded",
        HATCHET_CLIENT_TOKEN="",
        HATCHET_CLIENT_EMBEDDED_BINARY_PATH=str(tmp_path / "none"),
    )
    assert code == 2, text
    assert "hatchet-embedded-sidecar" in text
    assert "Traceback" not in text
