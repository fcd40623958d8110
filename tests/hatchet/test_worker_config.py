"""Workers as they are configured, without an engine."""

import subprocess
import sys
from datetime import timedelta

import pytest

from scythe_runtime.errors import SettingsError
from scythe_runtime.settings import default_slots
from scythe_runtime.worker import ScytheWorkerConfig, ScytheWorkerLabel, WorkerNameConfig


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "FLY_REGION",
        "AWS_BATCH_JOB_ARRAY_INDEX",
        "COPILOT_ENVIRONMENT_NAME",
        "SCYTHE_SLOTS",
    ):
        monkeypatch.delenv(name, raising=False)


HOSTS = {
    "ScytheWorker--Local": {},
    "ScytheWorker--FlyLHR": {"FLY_REGION": "lhr"},
    "ScytheWorker--AWSBatch0007": {"AWS_BATCH_JOB_ARRAY_INDEX": "7"},
    "ScytheWorker--AWSCopilotPROD": {"COPILOT_ENVIRONMENT_NAME": "prod"},
    "ScytheWorker--AWSBatch0012CopilotDEV": {
        "AWS_BATCH_JOB_ARRAY_INDEX": "12",
        "COPILOT_ENVIRONMENT_NAME": "dev",
        "FLY_REGION": "lhr",
    },
}


@pytest.mark.parametrize("name", HOSTS)
def test_names_say_where_a_worker_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name comes from what the host puts into the environment; a name of one's own replaces it."""
    for variable, value in HOSTS[name].items():
        monkeypatch.setenv(variable, value)
    where = WorkerNameConfig()
    assert where.name == name
    assert where.in_local == (name == "ScytheWorker--Local")
    assert where.in_aws == (where.in_aws_batch or where.in_aws_copilot) == ("AWS" in name)
    assert where.hosting_str in {where.aws_hosting_str, where.fly_hosting_str, "Local"}
    assert where.in_fly == ("FLY_REGION" in HOSTS[name])
    assert ScytheWorkerConfig().computed_name == name
    assert ScytheWorkerConfig(NAME="mine").computed_name == "mine"


def test_defaults_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without variables a worker has a slot a core and both roles; each field is a variable."""
    config = ScytheWorkerConfig()
    assert config.computed_slots == default_slots()
    assert config.computed_durable_slots == 1000
    assert (config.DOES_FAN, config.DOES_LEAF, config.labels) == (True, True, {})
    for name, value in {
        "SLOTS": "3",
        "DURABLE_SLOTS": "5",
        "HIGH_MEMORY": "true",
        "HAS_GPU": "1",
        "DOES_FAN": "false",
        "GRACE": "2m",
    }.items():
        monkeypatch.setenv(f"SCYTHE_WORKER_{name}", value)
    config = ScytheWorkerConfig()
    assert (config.computed_slots, config.computed_durable_slots) == (3, 5)
    assert config.labels == {"high_memory": "yes", "has_gpu": "yes"}
    assert (False, timedelta(minutes=2)) == (config.DOES_FAN, config.GRACE)
    monkeypatch.setenv("SCYTHE_WORKER_SLOTS", "0")
    with pytest.raises(SettingsError, match="SCYTHE_WORKER_SLOTS='0'"):
        ScytheWorkerConfig()


def test_labels_become_hatchets() -> None:
    """What `worker_label` gives, a label of Hatchet's own, and a plain value all become required labels."""
    from hatchet_sdk.labels import DesiredWorkerLabel

    from scythe_runtime.engine._hatchet_tasks import wanted_labels

    wanted = wanted_labels(
        {
            **ScytheWorkerLabel.HAS_GPU.worker_label,
            **ScytheWorkerLabel.HIGH_CPU.worker_label,
            "zone": DesiredWorkerLabel(value="north", required=False),
            "disks": 2,
        }
    )
    assert [(w.key, w.value, w.required) for w in wanted] == [
        ("has_gpu", "yes", True),
        ("high_cpu", "yes", True),
        ("zone", "north", False),
        ("disks", 2, True),
    ]


def test_nothing_is_imported_before_it_is_used() -> None:
    """Importing worker and client needs no token and leaves hatchet_sdk and boto3 alone."""
    code = (
        "import sys; from scythe_runtime.worker import ScytheWorkerConfig, ScytheWorkerLabel; "
        "from scythe_runtime.hatchet import hatchet; ScytheWorkerLabel.HAS_GPU.worker_label; "
        "print([m for m in ('hatchet_sdk', 'boto3', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
