"""Hatchet passes the tests that every engine must pass, with S3 and a worker of two slots."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from farm import Farm
from servers import Hatchet, S3Server

from scythe_runtime.engine import Engine
from scythe_runtime.engine._hatchet import HatchetEngine
from scythe_runtime.registry import Experiment
from scythe_runtime.store import Store, store_from_settings
from scythe_runtime.testing_engine import EngineTestCase


class TestHatchetEngine(EngineTestCase):
    """Workers by way of Hatchet."""

    @pytest.fixture(scope="class")
    def farm(
        self, servers: tuple[Hatchet, S3Server], tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Farm]:
        """Return a repository with one worker; this process has its environment meanwhile."""
        farm = Farm(tmp_path_factory.mktemp("conformance"), *servers)
        farm.worker(script="fated_worker.py")
        patch = farm.store_env()
        for name, value in farm.engine.env.items():
            patch.setenv(name, value)
        patch.syspath_prepend(farm.folder)
        yield farm
        patch.undo()
        farm.close()

    @pytest.fixture
    def engine(self, farm: Farm) -> Engine:
        """Return the engine."""
        del farm
        return HatchetEngine()

    @pytest.fixture
    def store(self, farm: Farm) -> Store:
        """Return the worker's bucket."""
        del farm
        return store_from_settings()

    @pytest.fixture
    def experiment(self, farm: Farm) -> Experiment[Any, Any]:
        """Return the experiment as the worker has it."""
        del farm
        return importlib.import_module("plot.fated").fated
