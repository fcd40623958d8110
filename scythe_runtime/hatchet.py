"""Hatchet clients, made when they are first used. The one home of Hatchet's settings."""

import logging
import os
from typing import TYPE_CHECKING, Any

from scythe_runtime.errors import SettingsError

if TYPE_CHECKING:
    from hatchet_sdk import Hatchet

__all__ = ["hatchet", "make_client", "start_embedded"]


def make_client(*, attempts: int | None = None) -> "Hatchet":
    """Return a Hatchet client as the environment says; nothing is sent yet.

    Args:
        attempts: How often a request is tried; by default as the SDK does it.

    Raises:
        SettingsError: HATCHET_CLIENT_TOKEN is missing or is no token.
    """
    # lines that user code logs stay on the worker: sending each of them has cost workers their memory
    os.environ.setdefault("HATCHET_CLIENT_DISABLE_LOG_CAPTURE", "true")
    from hatchet_sdk import ClientConfig, Hatchet
    from hatchet_sdk.config import TenacityConfig
    from pydantic import ValidationError

    logging.getLogger("hatchet").setLevel(os.environ.get("SCYTHE_LOG_LEVEL", "WARNING").upper())
    extra: dict[str, Any] = {"tenacity": TenacityConfig(max_attempts=attempts)} if attempts else {}
    try:
        return Hatchet(config=ClientConfig(**extra))
    except ValidationError as error:
        cause = error.errors()[0]["msg"].partition("Hint:")[0].rstrip(" .")
        cause = cause.removeprefix("Value error, ").partition(". For local")[0]
    except Exception as error:  # noqa: BLE001 - a token that is none breaks in several ways
        cause = f"it cannot be read ({type(error).__name__})"
    message = (
        f"HATCHET_CLIENT_TOKEN: {cause}. Make a token in Hatchet's dashboard (Settings, API tokens) or with "
        "`hatchet-admin token create`, and put it into the environment or into .env."
    )
    raise SettingsError(message) from None


def start_embedded() -> str:
    """Start an engine that lives as long as this process, and let this process use it.

    Returns:
        The lines of environment by which other processes on this machine use it too.

    Raises:
        SettingsError: The SDK cannot start one here.
    """
    from hatchet_sdk import Hatchet

    try:
        config = Hatchet.from_embedded().config
    except Exception as error:  # noqa: BLE001 - a download, a program and a handshake can fail in many ways
        message = (
            f"an embedded Hatchet could not be started: {str(error).splitlines()[0].rstrip('.')}. It needs the program "
            "hatchet-embedded-sidecar, which the SDK downloads from GitHub, or finds where "
            "HATCHET_CLIENT_EMBEDDED_BINARY_PATH says; HATCHET_CLIENT_EMBEDDED_DATABASE_URL names a Postgres "
            "to use instead of its own."
        )
        raise SettingsError(message) from None
    values = {
        "HATCHET_CLIENT_TOKEN": config.token,
        "HATCHET_CLIENT_HOST_PORT": config.host_port,
        "HATCHET_CLIENT_SERVER_URL": config.server_url,
        "HATCHET_CLIENT_TLS_STRATEGY": config.tls_config.strategy,
    }
    os.environ.update(values)
    return "\n".join(f"{name}={value}" for name, value in values.items())


class _LazyHatchet:
    """Stands for a client that is made at its first use."""

    def __init__(self) -> None:
        self._made: Hatchet | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._made is None:
            self._made = make_client()
        return getattr(self._made, name)


hatchet: "Hatchet" = _LazyHatchet()  # type: ignore[assignment]
"""The client of this process; importing it needs no token."""
