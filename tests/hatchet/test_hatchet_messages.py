"""What a first user gets wrong: one clear message within ten seconds, exit code 2, no traceback, nothing written."""

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from farm import Farm
from servers import Hatchet, S3Server, free_port, poll

ALLOCATE = """
import sys
from plot.task import *
from scythe_runtime import BaseExperiment
from scythe_runtime.errors import ScytheError
try:
    run, ref = BaseExperiment(runnable=add).allocate([Sum(a=1, b=1)])
except ScytheError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


def forged(token: str) -> str:
    """Return a token with another signature."""
    head, payload, signature = token.split(".")
    return ".".join([head, payload, signature[:10] + signature[10:20][::-1] + signature[20:]])


def nowhere(token: str) -> str:
    """Return a token that names an address where nobody listens."""
    head, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["grpc_broadcast_address"] = f"127.0.0.1:{free_port()}"
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{changed}.{signature}"


MISTAKES: dict[str, tuple[Callable[[Farm], dict[str, str]], str]] = {
    "no token": (
        lambda _: {"HATCHET_CLIENT_TOKEN": ""},
        "HATCHET_CLIENT_TOKEN: API token is required",
    ),
    "no token at all": (lambda _: {"HATCHET_CLIENT_TOKEN": "secret"}, "HATCHET_CLIENT_TOKEN: "),
    "half a token": (lambda _: {"HATCHET_CLIENT_TOKEN": "eyJhbGciOi"}, "HATCHET_CLIENT_TOKEN: "),
    "another engine's token": (
        lambda farm: {"HATCHET_CLIENT_TOKEN": forged(farm.engine.token)},
        "does not accept this token",
    ),
    "nobody there": (
        lambda farm: {"HATCHET_CLIENT_TOKEN": nowhere(farm.engine.token)},
        "does not answer. Is it running",
    ),
    "TLS where there is none": (
        lambda _: {"HATCHET_CLIENT_TLS_STRATEGY": "tls"},
        "HATCHET_CLIENT_TLS_STRATEGY=none",
    ),
    "no bucket": (lambda _: {"SCYTHE_STORAGE_BUCKET": ""}, "SCYTHE_STORAGE_BUCKET is not set"),
    "missing bucket": (lambda _: {"SCYTHE_STORAGE_BUCKET": "no-such-bucket"}, "no-such-bucket"),
}


@pytest.fixture(scope="module")
def farm(servers: tuple[Hatchet, S3Server], tmp_path_factory: pytest.TempPathFactory) -> Farm:
    """Return a repository without workers."""
    farm = Farm(tmp_path_factory.mktemp("mistaken"), *servers)
    farm.run("import hatchet_sdk, scythe_runtime.worker")  # compiled, in an environment that is new
    return farm


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_of_a_worker_and_of_who_allocates(farm: Farm, mistake: str) -> None:
    """Both say the same, in a few lines, and exit with 2."""
    env, message = MISTAKES[mistake]
    changed = {**farm.env, **env(farm)}
    began = time.monotonic()
    processes = [
        subprocess.Popen(
            [*farm.command, *arguments],
            env=changed,
            cwd=farm.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for arguments in (["worker.py"], ["-c", ALLOCATE])
    ]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2, err
        assert message in err
        assert "Traceback" not in err
        assert len(err.splitlines()) <= 3, err
        assert changed["HATCHET_CLIENT_TOKEN"][:40] not in err or mistake == "no token"
    assert time.monotonic() - began < 2 * 10, "two processes on a busy machine: ten seconds each"
    assert not (farm.folder / "runs").exists()


@pytest.fixture
def old_engine(farm: Farm) -> Iterator[str]:
    """Return the version that the engine says it is meanwhile."""
    version = "v0.87.9"
    farm.engine.restart(version=version)
    yield version
    farm.engine.restart()


def test_an_engine_that_is_too_old(farm: Farm, old_engine: str) -> None:
    """Worker, who allocates and doctor say which version it is and which is needed; nothing begins."""
    doctor = (
        "import sys; from scythe_runtime.cli import main; sys.argv = ['scythe', 'doctor']; main()"
    )
    for command, code in ((["worker.py"], 2), (["-c", ALLOCATE], 2), (["-c", doctor], 1)):
        done = subprocess.run(
            [*farm.command, *command],
            env=farm.env,
            cwd=farm.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert f"says that it is {old_engine}; v0.88.1 or newer is needed. Update it" in said
        assert "Traceback" not in said


def test_a_worker_without_work_says_so(farm: Farm) -> None:
    """A worker that has registered nothing, or has no role, ends with a message."""
    script = "from scythe_runtime.worker import ScytheWorkerConfig; ScytheWorkerConfig().start()"
    for code, env, message in [
        (script, {}, "nothing to serve"),
        (
            f"import plot.task; {script}",
            {"SCYTHE_WORKER_DOES_FAN": "false", "SCYTHE_WORKER_DOES_LEAF": "0"},
            "nothing is left to do",
        ),
    ]:
        process = farm.python(code, **env)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 2
        assert message in err
        assert "Traceback" not in err


WAIT = """
from plot.task import *
from scythe_runtime import BaseExperiment
run, ref = BaseExperiment(runnable=add, run_name="plot").allocate([Sum(a=1, b=k) for k in range(20)])
print(ref.result().succeeded)
"""


def test_a_run_that_waits_for_a_worker_says_for_which(
    farm: Farm, new_farm: Callable[..., Farm], tmp_path: Path
) -> None:
    """Without a worker, then with one that has other code, waiting says so; with one that fits, the run ends."""
    del farm
    mine, other = new_farm("mine"), new_farm("other")
    task = other.folder / "plot" / "task.py"
    task.write_text(task.read_text() + "\n# another version\n")
    said = tmp_path / "said"
    with said.open("w") as err:
        waiting = subprocess.Popen(
            [*mine.command, "-c", WAIT],
            env=mine.env,
            cwd=mine.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
        poll(lambda: "no worker serves" in said.read_text(), within_s=40, what="no worker at all")
        other.worker(SCYTHE_STORAGE_BUCKET=mine.bucket, SCYTHE_WORKER_NAME="elsewhere")
        poll(lambda: "elsewhere" in said.read_text(), within_s=40, what="a worker with other code")
        assert "no worker has this code" in said.read_text()
        mine.worker()
        out, _ = waiting.communicate(timeout=60)
    assert out.strip() == "20"
