"""A Hatchet without containers, started by the very lines of docs/hatchet.md."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from servers import Hatchet, Process, S3Server, find_binary, free_port, poll

PAGE = Path(__file__).parents[2] / "docs" / "hatchet.md"
ASK = "from scythe_runtime.engine._hatchet_fleet import check_engine; print(check_engine())"


def lines_of_the_page() -> str:
    """Return the lines that start a Hatchet."""
    (found,) = re.findall(r"```sh\n( *export DATABASE_URL.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


def test_the_lines_of_the_page(servers: tuple[Hatchet, S3Server], tmp_path: Path) -> None:
    """On a new database, with other ports, they give an engine that answers, and an `.env` that is right."""
    postgres = servers[0].postgres
    postgres.sql("CREATE DATABASE by_hand OWNER hatchet")
    script = lines_of_the_page().replace(
        "@127.0.0.1:5432/hatchet?", f"@127.0.0.1:{postgres.port}/by_hand?"
    )
    for port in ("8888", "8081", "8082", "7077"):
        assert port in script
        script = script.replace(port, str(free_port()))
    binary = find_binary("hatchet-lite")
    assert binary is not None
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SCYTHE_", "HATCHET_"))}
    env = {
        **kept,
        "PATH": f"{Path(binary).parent}{os.pathsep}{kept['PATH']}",
        "SERVER_HEALTHCHECK_PORT": str(free_port()),
    }
    log = tmp_path / "log"
    shell = Process(["bash", "-ec", f"{script}\nwait"], log=log, env=env, cwd=tmp_path)
    try:
        poll(
            lambda: (tmp_path / ".env").is_file() and "TLS" in (tmp_path / ".env").read_text(),
            within_s=60,
            what=f"a token: {log}",
        )
        # the SDK reads .env itself
        asked = [sys.executable, "-c", ASK]

        def answer() -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                asked, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False
            )

        poll(lambda: answer().returncode == 0, within_s=60, what="the engine answers")
        assert answer().stdout.strip() == "v0.104.7"
    finally:
        shell.stop(signal.SIGKILL)
