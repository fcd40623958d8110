"""Processes that allocate the same experiment at the same instant."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from scythe_runtime import open_run
from scythe_runtime.store import store_from_settings

from .servers import new_bucket

ALLOCATE = """
import sys
from pathlib import Path
from scythe_runtime import BaseExperiment
from store.file_tasks import Files, read_files
who = sys.argv[1]
Path(f"{who}.epw").write_text(who)
experiment = BaseExperiment(runnable=read_files, run_name="both")
specs = [Files(weather=f"{who}.epw") for _ in range(3)]
print("ready", flush=True)
sys.stdin.readline()
run, ref = experiment.allocate(specs, version="bumpminor")
ref.result()
print(run.experiment_id)
"""


@pytest.fixture(params=["folder", "moto", "rclone"])
def where(request, aws, tmp_path, monkeypatch):
    """Work in an empty folder with each store in turn; return its name."""
    if request.param == "rclone":
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("rclone").url)
    if request.param != "folder":
        monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", new_bucket(os.environ["AWS_ENDPOINT_URL"]))
    monkeypatch.setenv("SCYTHE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SCYTHE_SLOTS", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.chdir(tmp_path)
    return request.param


def test_two_processes_share_nothing(where):
    """Two runs have a folder each, and a version each where the store can claim; else that is said."""
    children = {
        who: subprocess.Popen(
            [sys.executable, "-c", ALLOCATE, who],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for who in ("one", "two")
    }
    for child in children.values():
        assert child.stdout.readline() == "ready\n", child.stderr.read()
    for child in children.values():
        child.stdin.write("go\n")
        child.stdin.flush()
    ends = {who: child.communicate(timeout=120) for who, child in children.items()}
    runs = {run: who for who, (out, _) in ends.items() for run in out.split()}
    assert len(runs) == 2, ends
    versions = Counter(run.split("/")[1] for run in runs)
    for _, err in ends.values():
        assert ("ignores If-None-Match" in err) == (where == "rclone")
    if where != "rclone":
        assert set(versions.values()) == {1}

    store = store_from_settings()
    for run, who in runs.items():
        opened = open_run(run)
        opened.check()
        assert opened.table()["text"].tolist() == [who] * 3
    claims = re.compile(r"both/v\d+\.\d+\.\d+/claim\.yml")
    others = [
        found.key
        for found in store.list("")
        if not claims.fullmatch(found.key)
        and not any(found.key.startswith(f"{run}/") for run in runs)
    ]
    assert others == []
