"""Makes of each document what `new` makes of it, and watches what happens meanwhile; run as a program.

In: a JSON list of documents (texts). Out: a JSON object: how many were accepted, how often each rule
refused one, and what should not have happened. An audit hook sees files, programs, connections and imports.
"""

import json
import keyword
import sys
import tempfile
from collections import Counter
from types import ModuleType
from typing import Any

from scythe_gen.document import parse_text
from scythe_gen.errors import DefinitionError
from scythe_gen.generate import derived_files
from scythe_gen.parse import parse
from scythe_gen.user_files import user_files

EVERYTHING = """
input:
  a: {type: number, minimum: 0, default: 1, x-unit: m}
  b: {format: file-reference, default: "s3://b/c"}
  c: {format: date-time, default: "2024-01-01T00:00:00Z"}
  d: {type: array, items: {type: string, pattern: "^a"}, default: [a]}
  e: {type: string, x-sample: {dist: values, values: [a]}}
output: {y: number, t: {x-frame: {z: number}}}
"""
WORDS = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "urllib.")

seen: list[str] = []
watching = False


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what no definition may bring about."""
    if not watching:
        return
    if event.startswith(WORDS):
        seen.append(f"{event} {arguments!r}")
    elif event == "open" and isinstance(arguments[0], str):
        path, mode, flags = arguments
        writes = any(letter in (mode or "") for letter in "wax+") or bool(flags & 3)
        if writes and not path.startswith(tempfile.gettempdir()):
            seen.append(f"{event} {arguments!r}")
    elif event == "import" and arguments[0].partition(".")[0] not in known:
        seen.append(f"import {arguments[0]}")


def make(text: str) -> None:
    """Make all of a repository that depends on a document, and import what is derived.

    Raises:
        DefinitionError: The document is refused.
    """
    model = parse(parse_text(text))
    for name in (field.name for field in (*model.inputs, *model.outputs)):
        assert name.isidentifier(), name
        assert not keyword.iskeyword(name), name
    files: dict[str, str | bytes] = {**derived_files(model, "office"), **user_files(model, "office", text)}  # fmt: skip
    for path, content in files.items():
        if path.endswith(".py"):
            code = compile(content, path, "exec")
            if path.endswith(("_generated/specs.py", "_generated/fields.py")):
                module = ModuleType("office_under_test")
                sys.modules[module.__name__] = module
                exec(code, module.__dict__)


def main() -> None:
    """Run the documents."""
    global watching  # noqa: PLW0603 - an audit hook has no other way to be told
    counts: Counter[str] = Counter()
    wrong = []
    for text in json.load(sys.stdin):
        seen.clear()
        watching = True
        try:
            make(text)
            counts["accepted"] += 1
        except DefinitionError as error:
            counts["refused"] += 1
            counts.update({f"refused by {problem.rule}" for problem in error.problems})
            lines = text.count("\n") + 1
            placed = all(1 <= p.line <= lines + 1 and p.column >= 1 for p in error.problems)
            if not error.problems or not placed:
                wrong.append(["refused without a position", text])
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must not be
            wrong.append([f"{type(error).__name__}: {error}"[-1500:], text])
        finally:
            watching = False
        if seen:
            wrong.append([seen[0], text])
    json.dump({"counts": counts, "wrong": wrong}, sys.stdout)


make(EVERYTHING)  # what is imported for any document is imported now
known = {name.partition(".")[0] for name in sys.modules}
sys.addaudithook(watch)
if __name__ == "__main__":
    main()
