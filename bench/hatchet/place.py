"""A Hatchet engine, an S3 server and a repository for benchmarks, all on this machine and all real."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "hatchet"))

from farm import Farm
from servers import Hatchet, S3Server, why_no_hatchet


@contextmanager
def servers() -> Iterator[tuple[Hatchet, S3Server, Path]]:
    """Yield a Hatchet engine with a database of its own, an S3 server, and a folder; all are gone at the end."""
    reason = why_no_hatchet()
    if reason:
        sys.exit(f"no Hatchet here: {reason}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "hatchet").mkdir()
        s3 = S3Server(folder / "s3")
        engine = Hatchet(folder / "hatchet")
        try:
            yield engine, s3, folder
        finally:
            s3.close()
            engine.close()


@contextmanager
def farm(engine: Hatchet, s3: S3Server, folder: Path) -> Iterator[Farm]:
    """Yield a repository with a bucket of its own and without workers."""
    folder.mkdir()
    made = Farm(folder, engine, s3)
    try:
        yield made
    finally:
        made.close()
