"""Real servers for tests: Postgres with Hatchet on it, and an S3 server whose requests are counted."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

BINARIES = ("hatchet-lite", "hatchet-migrate", "hatchet-admin")
VERSION = "v0.104.7"
"""What the engine says it is: one built from source calls itself an alpha, which the SDK takes for an old one."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def poll(condition: Callable[[], object], *, within_s: float, what: str) -> object:
    """Return the first true value of a condition, asking again and again until the deadline."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {within_s:g} s in vain: {what}"
        time.sleep(0.02)
    return value


def find_binary(name: str) -> str | None:
    """Return the path of one of Hatchet's programs: from SCYTHE_TEST_HATCHET_BIN, else from PATH."""
    folder = os.environ.get("SCYTHE_TEST_HATCHET_BIN")
    return shutil.which(name, path=folder) if folder else shutil.which(name)


def find_postgres() -> Path | None:
    """Return the folder of Postgres's programs."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    candidates = [Path(on_path).resolve().parent] if on_path else []
    needed = ("initdb", "postgres", "pg_isready", "psql")
    whole = (f for f in [*candidates, *folders] if all((f / name).is_file() for name in needed))
    return next(whole, None)


def why_no_hatchet() -> str | None:
    """Return what is missing to start Hatchet, None when nothing is."""
    missing = [name for name in BINARIES if find_binary(name) is None]
    if missing:
        return f"{', '.join(missing)}: neither on PATH nor in the folder SCYTHE_TEST_HATCHET_BIN"
    return None if find_postgres() else "no Postgres: initdb is neither on PATH nor in /usr/lib"


class Process:
    """A server process in a session of its own, its output in a file."""

    def __init__(
        self,
        command: list[str],
        *,
        log: Path,
        env: dict[str, str],
        user: str | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=env,
                user=user,
                cwd=cwd or log.parent,
                start_new_session=True,
            )

    def stop(self, how: int = signal.SIGTERM, *, within_s: float = 15.0) -> None:
        """End the process and everything in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, how)
        try:
            self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()


class Postgres:
    """A Postgres server in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        found = find_postgres()
        assert found is not None
        self._bin = found
        self._folder = folder
        self._data = folder / "data"
        self._user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        self.port = free_port()
        folder.mkdir(parents=True)
        if self._user:
            for parent in (folder, *folder.parents):
                if parent.stat().st_uid == 0 and parent != Path("/") and parent.name != "tmp":
                    parent.chmod(0o755)
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-N")
        self._process: Process | None = None
        self.start()
        self.sql("CREATE ROLE hatchet LOGIN SUPERUSER PASSWORD 'hatchet'")
        self.sql("CREATE DATABASE hatchet OWNER hatchet")

    @property
    def url(self) -> str:
        """The database that Hatchet uses."""
        return f"postgres://hatchet:hatchet@127.0.0.1:{self.port}/hatchet?sslmode=disable"

    def start(self) -> None:
        """Start, and return when it answers."""
        ready = [str(self._bin / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]

        def answers() -> bool:
            # while processes of its crashed self are still there it refuses to start
            if self._process is None or self._process.popen.poll() is not None:
                self._process = self._launch()
            return subprocess.run(ready, capture_output=True, check=False).returncode == 0

        poll(answers, within_s=60, what=f"Postgres answers: {self._folder / 'postgres.log'}")

    def _launch(self) -> Process:
        options = ("max_connections=200", "fsync=off", "listen_addresses=127.0.0.1")
        return Process(
            [
                str(self._bin / "postgres"),
                *("-D", str(self._data), "-p", str(self.port), "-k", str(self._folder)),
                *(word for option in options for word in ("-c", option)),
            ],
            log=self._folder / "postgres.log",
            env=dict(os.environ),
            user=self._user,
        )

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it: SIGINT rolls back and ends as soon as it can, SIGKILL is a crash."""
        if self._process is not None:
            self._process.stop(how, within_s=60)
            self._process = None

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement and return what it answers."""
        return self._run(
            *("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database),
            *("-tAc", statement),
        )

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            capture_output=True,
            text=True,
            user=self._user,
            cwd=self._folder,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class Hatchet:
    """A Hatchet engine (hatchet-lite) on a database of its own, and a token for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.postgres = Postgres(folder / "postgres")
        grpc, api, internal = free_port(), free_port(), free_port()
        self._health = free_port()
        self.grpc_address = f"127.0.0.1:{grpc}"
        self.api_url = f"http://127.0.0.1:{internal}"
        (folder / "static").mkdir()
        (folder / "static" / "index.html").write_text("no dashboard here")
        self._env = {
            **os.environ,
            "DATABASE_URL": self.postgres.url,
            "SERVER_PORT": str(api),
            "SERVER_URL": f"http://127.0.0.1:{internal}",
            "SERVER_GRPC_PORT": str(grpc),
            "SERVER_GRPC_BIND_ADDRESS": "127.0.0.1",
            "SERVER_GRPC_BROADCAST_ADDRESS": f"127.0.0.1:{grpc}",
            "SERVER_GRPC_INSECURE": "t",
            "SERVER_INTERNAL_CLIENT_INTERNAL_GRPC_BROADCAST_ADDRESS": f"127.0.0.1:{grpc}",
            "SERVER_HEALTHCHECK_PORT": str(self._health),
            "SERVER_AUTH_COOKIE_DOMAIN": "127.0.0.1",
            "SERVER_AUTH_COOKIE_INSECURE": "t",
            "SERVER_AUTH_SET_EMAIL_VERIFIED": "t",
            "LITE_STATIC_ASSET_DIR": str(folder / "static"),
            "LITE_FRONTEND_PORT": str(free_port()),
            "LITE_RUNTIME_PORT": str(internal),
            "SERVER_SECURITY_CHECK_ENABLED": "false",
            "SERVER_VERSION_OVERRIDE": VERSION,
        }
        self._config = folder / "config"
        self._process: Process | None = None
        self._admin("migrate")
        self._admin(
            *("admin", "quickstart", "--skip", "certs"),
            *("--generated-config-dir", str(self._config), "--overwrite=false"),
        )
        self.start()
        self.token = self.new_token()

    @property
    def env(self) -> dict[str, str]:
        """What a client or worker needs in its environment."""
        return {"HATCHET_CLIENT_TOKEN": self.token, "HATCHET_CLIENT_TLS_STRATEGY": "none"}

    def new_token(self, **env: str) -> str:
        """Return a token; the engine's environment when it is made decides which address it says."""
        lines = self._admin(
            *("admin", "--config", str(self._config), "token", "create", "--name", "test"), env=env
        )
        return lines.strip().splitlines()[-1]

    def start(self) -> None:
        """Start the engine, and return when it is ready."""
        binary = find_binary("hatchet-lite")
        assert binary is not None
        self._process = Process(
            [binary, "--config", str(self._config)],
            log=self._folder / "hatchet.log",
            env=self._env,
        )
        poll(self._ready, within_s=60, what="Hatchet is ready")

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End the engine."""
        if self._process is not None:
            self._process.stop(how)
            self._process = None

    def restart(self, how: int = signal.SIGTERM, *, version: str = VERSION) -> None:
        """End the engine and start it again, without the minute in which it waits for its dead self.

        Args:
            how: The signal.
            version: What the engine says that it is from now on.
        """
        self.stop(how)
        self._env["SERVER_VERSION_OVERRIDE"] = version
        for table in ("SchedulerPartition", "ControllerPartition", "TenantWorkerPartition"):
            self.postgres.sql(f'DELETE FROM "{table}"', "hatchet")
        self.start()

    def close(self) -> None:
        """End everything."""
        self.stop()
        self.postgres.stop()

    def forget_heartbeats(self, pid: int) -> None:
        """Make a dead worker's last heartbeat older than what the engine waits for."""
        self.postgres.sql(
            f"""
            UPDATE "Worker" SET "lastHeartbeatAt" = "lastHeartbeatAt" - INTERVAL '1 minute'
            WHERE name LIKE '%-{pid}'
            """,
            "hatchet",
        )

    @contextlib.contextmanager
    def overlooking(self, name: str) -> Iterator[None]:
        """Let the engine overlook what is queued of a task meanwhile.

        It asks for what comes after the first of those that it knew to wait; one that was queued in the same
        moment may be before. It looks again when it has begun another one of the same task.
        """
        self.postgres.sql(
            f"""
            CREATE FUNCTION queue_early() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.id := NEW.id - 1000000; RETURN NEW; END $$;
            CREATE TRIGGER queue_early BEFORE INSERT ON v1_queue_item FOR EACH ROW
            WHEN (NEW.queue LIKE '{name}:%') EXECUTE FUNCTION queue_early()
            """,
            "hatchet",
        )
        try:
            yield
        finally:
            self.postgres.sql("DROP FUNCTION queue_early CASCADE", "hatchet")

    def overlooked(self) -> int:
        """Return how many tasks it overlooks."""
        return int(self.postgres.sql("SELECT count(*) FROM v1_queue_item WHERE id < 0", "hatchet"))

    def tasks_at_work(self, pid: int, name: str) -> int:
        """Return how many tasks of a name the engine has given to a worker and not taken back, by its tables."""
        return int(
            self.postgres.sql(
                f"""
                SELECT count(*) FROM v1_task_runtime r
                JOIN v1_task t ON (t.id, t.inserted_at) = (r.task_id, r.task_inserted_at)
                JOIN "Worker" w ON w.id = r.worker_id
                WHERE w.name LIKE '%-{pid}' AND t.action_id LIKE '{name}:%'
                """,
                "hatchet",
            )
        )

    def count_tasks(self) -> int:
        """Return how many task runs the engine has seen, by its own tables."""
        return int(self.postgres.sql("SELECT count(*) FROM v1_task", "hatchet"))

    def list_runs(self) -> str:
        """Return the task runs that the engine has seen, counted by task and status, by its own tables."""
        return self.postgres.sql(
            """
            SELECT format('%6s %-10s %s', count(*), readable_status,
                          regexp_replace(display_name, '-[0-9]+$', ''))
            FROM v1_tasks_olap GROUP BY readable_status, regexp_replace(display_name, '-[0-9]+$', '')
            ORDER BY count(*) DESC
            """,
            "hatchet",
        )

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.popen.poll() is None, "hatchet-lite ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/ready", timeout=2) as r:
                return bool(r.status == 200)
        except OSError:
            return False

    def _admin(
        self, what: str, *arguments: str, env: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        binary = find_binary(f"hatchet-{what}")
        assert binary is not None
        done = subprocess.run(
            [binary, *arguments],
            env={**self._env, **env},
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


_REQUEST = re.compile(r'"(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP')


class S3Server:
    """A server that speaks S3 (moto), which logs a line for each request."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self._log = folder / "s3.log"
        self._process = Process(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            log=self._log,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"},
        )
        poll(self._answers, within_s=60, what="the S3 server answers")

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def new_bucket(self, name: str | None = None) -> str:
        """Return the name of a bucket that it has made."""
        name = name or f"bucket-{uuid.uuid4().hex[:12]}"
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        return name

    def env(self, bucket: str) -> dict[str, str]:
        """What a process that uses the bucket needs in its environment."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIATESTTESTTEST",
            "AWS_SECRET_ACCESS_KEY": "very-secret-key",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SCYTHE_STORAGE_BUCKET": bucket,
        }

    @contextlib.contextmanager
    def counting(self, bucket: str) -> Iterator[Counter[str]]:
        """Yield what is filled, at the end, with the requests for a bucket by kind (GET, LIST, PUT)."""
        counts: Counter[str] = Counter()
        start = self._log.stat().st_size
        yield counts
        with self._log.open("rb") as file:
            file.seek(start)
            for method, path in _REQUEST.findall(file.read().decode()):
                if path.startswith(f"/{bucket}"):
                    counts["LIST" if "list-type=2" in path else method] += 1

    def close(self) -> None:
        """End it."""
        self._process.stop()

    def _answers(self) -> bool:
        assert self._process.popen.poll() is None, "the S3 server ended"
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True
