"""A stand-in for hatchet-embedded-sidecar: it starts hatchet-lite and tells where, by the same handshake."""

import json
import signal
import sys
import tempfile
from pathlib import Path

from servers import Hatchet


def main() -> None:
    """Start an engine, write the handshake, and end with standard input or SIGTERM."""
    handshake = Path(sys.argv[sys.argv.index("-handshake-file") + 1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres is another user where this one is root
        engine = Hatchet(folder)
        try:
            values = {
                "token": engine.token,
                "tenant_id": "707d0855-80ab-4e1f-a156-f1c4546cbf52",
                "grpc_address": engine.grpc_address,
                "api_url": engine.api_url,
            }
            written = handshake.with_suffix(".new")
            written.write_text(json.dumps(values))
            written.replace(handshake)
            sys.stdin.read()
        finally:
            engine.close()


if __name__ == "__main__":
    main()
