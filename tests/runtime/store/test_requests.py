"""How many requests a run makes, counted where a server would charge for them."""

import pytest
from sample_tasks import Sum, add

from scythe_runtime import BaseExperiment


@pytest.mark.parametrize(("num_specs", "at_most"), [(1_000, 60), (5_000, 72)])
def test_requests_of_a_run(bucket, proxy, monkeypatch, tmp_path, num_specs, at_most):
    """At most 60 requests for 1,000 specs with scalar outputs, and 3 for each further 1,000."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", bucket)
    monkeypatch.setenv("SCYTHE_SLOTS", "2")
    experiment = BaseExperiment(runnable=add, run_name="sum")
    _, ref = experiment.allocate([Sum(a=i, b=i) for i in range(num_specs)])
    assert ref.result().succeeded == num_specs
    made = [f"{method} {path.partition('/sum/')[2] or path}" for method, path in proxy.requests]
    assert len(made) <= at_most, "\n".join(made)
    assert [line for line in made if "GET" in line and "scatter-gather/input/" in line] == []
    parts = [line for line in made if line.startswith("GET") and line.endswith(".arrow")]
    assert len(parts) == len(set(parts))
