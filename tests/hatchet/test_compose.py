"""The compose file of a generated repository: whole, and its workers run as plain processes where it says."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers import Hatchet, Process, S3Server, poll

from scythe_gen.new import new_repository

CHECKER = Path(sys.executable).with_name("check-jsonschema")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a generated repository."""
    folder = tmp_path_factory.mktemp("compose") / "room"
    new_repository(folder, example="room")
    return folder


@pytest.fixture(scope="module")
def services(repository: Path) -> dict[str, Any]:
    """Return the services of its compose file, by name."""
    found: dict[str, Any] = yaml.safe_load((repository / "compose.yaml").read_text())["services"]
    return found


def check(file: Path) -> "subprocess.CompletedProcess[str]":
    """Check a file against the schema of the Compose Specification, which check-jsonschema carries."""
    return subprocess.run(
        [CHECKER, "--builtin-schema", "vendor.compose-spec", file],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_a_compose_file(repository: Path, tmp_path: Path) -> None:
    """It keeps to the Compose Specification; a misspelt key would not pass."""
    done = check(repository / "compose.yaml")
    assert done.returncode == 0, done.stdout
    text = (repository / "compose.yaml").read_text()
    misspelt = tmp_path / "compose.yaml"
    misspelt.write_text(text.replace("depends_on", "dependson"))
    assert check(misspelt).returncode == 1


def test_its_names_are_there(repository: Path, services: dict[str, Any]) -> None:
    """What services refer to is declared: other services, volumes, hosts in addresses, files."""
    whole = yaml.safe_load((repository / "compose.yaml").read_text())
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        volumes = {volume.split(":")[0] for volume in service.get("volumes", ())}
        assert volumes <= set(whole["volumes"])
        assert "image" in service or (repository / service["build"] / "Dockerfile").is_file()
        for value in service.get("environment", {}).values():
            hosts = re.findall(r"(?://(?:[^@/]*@)?|^)([\w.-]+):\d+", str(value))
            assert set(hosts) <= {*services, "localhost"}, value
    # its passwords are in the file: no port is open to a network
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def variables(file: Path) -> dict[str, str]:
    """Return what an env file sets."""
    lines = (line.strip() for line in file.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def command_of(service: dict[str, Any], repository: Path) -> list[str]:
    """Return what a container of a service runs."""
    if "command" in service:
        command = service["command"]
        return command.split() if isinstance(command, str) else list(command)
    dockerfile = (repository / service["build"] / "Dockerfile").read_text()
    found = re.search(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)
    assert found is not None
    return list(yaml.safe_load(found[1]))


class Machine:
    """This machine as it is for the containers of a compose file: their names mean servers that are here.

    Args:
        engine: Stands for the service `hatchet`.
        s3: Stands for the service `storage`.
    """

    def __init__(self, engine: Hatchet, s3: S3Server) -> None:
        self.places = {
            "hatchet:7077": engine.grpc_address,
            "localhost:7077": engine.grpc_address,
            "http://hatchet:8888": engine.api_url,
            "http://localhost:8888": engine.api_url,
            "http://storage:9000": s3.url,
            "http://localhost:9000": s3.url,
        }

    def env(self, repository: Path, *given: dict[str, str]) -> dict[str, str]:
        """Return the environment of a process that has some variables, those given last winning."""
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("SCYTHE_", "HATCHET_", "AWS_"))
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        home = str(repository.parent)
        found = {k: v for some in given for k, v in some.items()}
        mapped = {k: self.places.get(v, v) for k, v in found.items()}
        return {**kept, "PATH": path, "HOME": home, "XDG_CACHE_HOME": f"{home}/cache", **mapped}


@pytest.fixture
def workers(
    servers: tuple[Hatchet, S3Server], repository: Path, services: dict[str, Any]
) -> Iterator[list[Process]]:
    """Return the repository's worker services as processes: command and environment as in the file."""
    engine, s3 = servers
    # as in the container: nobody answers at the address in the token (its issuer cannot be another one)
    address = services["hatchet"]["environment"]["SERVER_GRPC_BROADCAST_ADDRESS"]
    token = engine.new_token(SERVER_GRPC_BROADCAST_ADDRESS=address)
    example = (repository / ".env.example").read_text()
    (repository / ".env").write_text(
        example.replace("HATCHET_CLIENT_TOKEN=\n", f"HATCHET_CLIENT_TOKEN={token}\n")
    )
    s3.new_bucket(variables(repository / ".env")["SCYTHE_STORAGE_BUCKET"])
    machine, started = Machine(engine, s3), []
    for name, service in services.items():
        if "build" not in service:
            continue
        given = [variables(repository / service["env_file"]), service["environment"]]
        process = Process(
            command_of(service, repository),
            log=repository.parent / f"{name}.log",
            env=machine.env(repository, *given),
            cwd=repository,
        )
        started.append(process)
    try:
        for process in started:
            poll(lambda p=process: " serves " in p.log.read_text(), within_s=60, what="it serves")
        yield started
    finally:
        for process in started:
            process.stop(signal.SIGKILL)


def test_its_workers_run_a_design(
    servers: tuple[Hatchet, S3Server], repository: Path, workers: list[Process]
) -> None:
    """A run of allocate.py with `.env`, as the README says, goes through the workers of the compose file."""
    assert workers
    # on the host the published ports are as the token says; here they are others
    published = {"HATCHET_CLIENT_HOST_PORT": "localhost:7077"}
    env = Machine(*servers).env(repository, variables(repository / ".env"), published)
    done = subprocess.run(
        ["python", "allocate.py", "--n", "100"],
        cwd=repository,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    logs = "\n".join(w.log.read_text() for w in workers)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs}"
    assert "100 specs: 100 succeeded, 0 failed" in done.stdout
    assert not (repository / "runs").exists()  # all of it is in the bucket
    for worker in workers:
        worker.popen.send_signal(signal.SIGTERM)
        assert worker.popen.wait(25) == 0, worker.log.read_text()
