"""What runs batches: one protocol, and an engine a module."""

from scythe_runtime.engine._protocol import BatchRunner, Driver, Engine, Prepared
from scythe_runtime.settings import EngineSettings

__all__ = ["BatchRunner", "Driver", "Engine", "Prepared", "engine_from_settings"]


def engine_from_settings(name: str | None = None) -> Engine:
    """Return the engine that the environment names, or that is named here.

    Raises:
        SettingsError: There is no such engine.
    """
    settings = EngineSettings(**({"ENGINE": name} if name else {}))
    if settings.ENGINE == "hatchet":
        from scythe_runtime.engine._hatchet import HatchetEngine

        return HatchetEngine()
    from scythe_runtime.engine._local import LocalEngine

    return LocalEngine(slots=settings.SLOTS)
