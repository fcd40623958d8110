"""The local engine passes the tests that every engine must pass, on a folder; Hatchet's are in tests/hatchet."""

from pathlib import Path

import pytest

from scythe_runtime.engine import Engine
from scythe_runtime.engine._local import LocalEngine
from scythe_runtime.store import Store, open_store
from scythe_runtime.testing_engine import EngineTestCase


class TestLocalEngine(EngineTestCase):
    """This machine's processes."""

    @pytest.fixture
    def engine(self) -> Engine:
        """Return an engine of two slots."""
        return LocalEngine(slots=2)

    @pytest.fixture
    def store(self, tmp_path_factory: pytest.TempPathFactory) -> Store:
        """Return a store in a folder."""
        folder: Path = tmp_path_factory.mktemp("store")
        return open_store(folder.as_uri())
