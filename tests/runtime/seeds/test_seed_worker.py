"""Names of `worker`; workers that serve a real engine are tested in tests/hatchet."""

import pytest
from seed_names import calls
from seed_tasks import simulate_cell

from scythe_runtime.settings import default_slots
from scythe_runtime.worker import ScytheWorkerConfig, ScytheWorkerLabel, WorkerNameConfig


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch):
    """Let nothing of the environment say where this is."""
    for name in ("FLY_REGION", "AWS_BATCH_JOB_ARRAY_INDEX", "COPILOT_ENVIRONMENT_NAME"):
        monkeypatch.delenv(name, raising=False)


@calls("worker.ScytheWorkerLabel", "worker.ScytheWorkerConfig.labels")
def test_labels_of_workers_and_of_experiments_agree(monkeypatch):
    """What an experiment asks for by a label is what a worker that has it says of itself."""
    monkeypatch.setenv("SCYTHE_WORKER_HAS_GPU", "true")
    labels = ScytheWorkerConfig(HIGH_MEMORY=True).labels
    assert set(labels) == {ScytheWorkerLabel.HAS_GPU, ScytheWorkerLabel.HIGH_MEMORY}
    assert ScytheWorkerConfig(HAS_GPU=False).labels == {}
    for label in (ScytheWorkerLabel.HAS_GPU, ScytheWorkerLabel.HIGH_MEMORY):
        ((name, wanted),) = label.worker_label.items()
        assert labels[name] == wanted.value


@calls(
    "worker.WorkerNameConfig",
    "worker.WorkerNameConfig.in_aws",
    "worker.WorkerNameConfig.in_aws_batch",
    "worker.WorkerNameConfig.in_aws_copilot",
    "worker.WorkerNameConfig.aws_hosting_str",
    "worker.WorkerNameConfig.in_fly",
    "worker.WorkerNameConfig.fly_hosting_str",
    "worker.WorkerNameConfig.in_local",
    "worker.WorkerNameConfig.hosting_str",
    "worker.WorkerNameConfig.name",
)
def test_a_workers_name_says_where_it_is(monkeypatch):
    """Each host that leaves its mark in the environment is recognised, and is part of the name."""
    here = WorkerNameConfig()
    assert here.in_local
    assert not here.in_aws
    assert not here.in_fly
    assert here.aws_hosting_str == here.fly_hosting_str == ""
    batch = WorkerNameConfig(AWS_BATCH_JOB_ARRAY_INDEX=7)
    assert (batch.in_aws, batch.in_aws_batch, batch.in_aws_copilot) == (True, True, False)
    assert "7" in batch.aws_hosting_str
    copilot = WorkerNameConfig(COPILOT_ENVIRONMENT_NAME="test")
    assert (copilot.in_aws, copilot.in_aws_batch, copilot.in_aws_copilot) == (True, False, True)
    monkeypatch.setenv("FLY_REGION", "fra")
    fly = WorkerNameConfig()
    assert fly.in_fly
    assert not fly.in_local
    assert "FRA" in fly.fly_hosting_str
    for config, host in (
        (here, "Local"),
        (batch, batch.aws_hosting_str),
        (copilot, copilot.aws_hosting_str),
        (fly, fly.fly_hosting_str),
    ):
        assert config.hosting_str == host
        assert config.name.endswith(host)


@calls(
    "worker.ScytheWorkerConfig",
    "worker.ScytheWorkerConfig.computed_slots",
    "worker.ScytheWorkerConfig.computed_durable_slots",
    "worker.ScytheWorkerConfig.computed_name",
)
def test_slots_and_names_are_computed_or_given(monkeypatch):
    """Slots are those of the machine and durable slots 1000, unless the environment or the caller says."""
    monkeypatch.delenv("SCYTHE_SLOTS", raising=False)
    config = ScytheWorkerConfig()
    assert (config.computed_slots, config.computed_durable_slots) == (default_slots(), 1000)
    assert config.computed_name == WorkerNameConfig().name
    monkeypatch.setenv("SCYTHE_WORKER_SLOTS", "3")
    monkeypatch.setenv("SCYTHE_WORKER_NAME", "mine")
    config = ScytheWorkerConfig(DURABLE_SLOTS=5)
    assert (config.computed_slots, config.computed_durable_slots) == (3, 5)
    assert config.computed_name == "mine"


@calls("worker.ScytheWorkerConfig.start")
def test_a_worker_that_cannot_serve_says_why(here, monkeypatch, capsys):
    """Without a bucket, or with nothing to do, a worker ends with one clear message and exit code 2."""
    monkeypatch.delenv("SCYTHE_STORAGE_BUCKET", raising=False)
    for config, message in (
        (ScytheWorkerConfig(), "SCYTHE_STORAGE_BUCKET"),
        (ScytheWorkerConfig(DOES_FAN=False, DOES_LEAF=False), "SCYTHE_WORKER_DOES_FAN"),
    ):
        with pytest.raises(SystemExit) as ended:
            config.start(experiments=[simulate_cell], additional_workflows=[])
        assert ended.value.code == 2
        assert message in capsys.readouterr().err
