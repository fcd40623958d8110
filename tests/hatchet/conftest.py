"""Hatchet and S3 as real servers, once a session; workers and allocating processes as real processes.

With SCYTHE_TEST_HATCHET=required a machine without Hatchet fails the tests that need it; else they are skipped.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from farm import HERE, Farm
from servers import Hatchet, S3Server, why_no_hatchet

_RUNS = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def servers(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> Iterator[tuple[Hatchet, S3Server]]:
    """Return a Hatchet engine and an S3 server that live as long as the session.

    Their folder is none of pytest's, which other sessions may clear: an engine without its database's files
    refuses every token. It is removed at the end, unless a test has failed: then the logs are there.
    """
    reason = why_no_hatchet()
    if reason and os.environ.get("SCYTHE_TEST_HATCHET") == "required":
        pytest.fail(f"no Hatchet here: {reason}", pytrace=False)
    if reason:
        pytest.skip(f"no Hatchet here: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="scythe-servers-"))
    with contextlib.ExitStack() as stack:
        engine = Hatchet(folder)
        stack.callback(engine.close)
        s3 = S3Server(folder / "s3")
        stack.callback(s3.close)
        yield engine, s3
        with contextlib.suppress(AssertionError):  # its database is gone: the tests have said so
            _keep(pytestconfig, engine.list_runs())
    if request.session.testsfailed:
        print(f"the servers' logs: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_farm(
    servers: tuple[Hatchet, S3Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Farm]:
    """Return a repository with one worker, for tests that do no harm."""
    farm = Farm(tmp_path_factory.mktemp("farm"), *servers)
    farm.worker()
    yield farm
    farm.close()


@pytest.fixture
def new_farm(servers: tuple[Hatchet, S3Server], tmp_path: Path) -> Iterator[Callable[..., Farm]]:
    """Return what makes repositories without workers."""
    made: list[Farm] = []

    def make(name: str = "farm", **_: Any) -> Farm:
        folder = tmp_path / name
        folder.mkdir()
        made.append(Farm(folder, *servers))
        return made[-1]

    yield make
    for farm in made:
        farm.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a real engine."""
    for item in items:
        if HERE in item.path.parents and "servers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.hatchet)


def _keep(config: pytest.Config, runs: str) -> None:
    """Keep what an engine has run for the summary, which another process writes where several run tests."""
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output["runs"] = runs
    else:
        config.stash.setdefault(_RUNS, []).append(runs)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep what the engine of another process has run."""
    runs = getattr(node, "workeroutput", {}).get("runs")
    if runs:
        _keep(node.config, runs)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many tests ran on a real engine, and what the engine itself says that it has run."""
    engines = config.stash.get(_RUNS, [])
    if not engines:
        return
    stats = terminalreporter.stats
    counts = {
        kind: sum("hatchet" in getattr(report, "keywords", ()) for report in stats.get(kind, ()))
        for kind in ("passed", "failed", "error", "skipped")
    }
    terminalreporter.section("Hatchet")
    for runs in engines:
        terminalreporter.line("an engine's own count of tasks, by how they ended:")
        for line in runs.splitlines():
            terminalreporter.line(f"  {line}")
    terminalreporter.line(
        f"{sum(counts.values()) - counts['skipped']} tests ran on a real Hatchet engine: "
        + ", ".join(f"{n} {kind}" for kind, n in counts.items())
    )
