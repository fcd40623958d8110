"""`scythe-gen new`: what it makes, what it refuses, what it leaves behind."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scythe_gen.errors import DefinitionError, GenError, RepositoryError
from scythe_gen.new import new_repository
from scythe_gen.repo_name import RepositoryName, repository_name
from scythe_gen.resources import examples
from scythe_gen.version import tool_version

IO = """\
input:
  r_value: {type: number, minimum: 0, maximum: 15}
output:
  heat: {type: number}
"""


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    """Return a small definition."""
    path = tmp_path / "given" / "io.yaml"
    path.parent.mkdir()
    path.write_text(IO)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return an empty folder to make repositories in."""
    path = tmp_path / "place"
    path.mkdir()
    return path


def git(repository: Path, *arguments: str) -> str:
    """Return what git prints."""
    return subprocess.run(
        ["git", *arguments], cwd=repository, check=True, capture_output=True, text=True
    ).stdout


def test_the_whole_repository_is_committed(
    place: Path, schema: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files stand in one commit, without a git identity, under a hostile git configuration."""
    home = tmp_path / "home"
    home.mkdir()
    hook = home / "hooks" / "pre-commit"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (home / "ignore").write_text("*.whl\nio.yaml\n")
    (home / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {hook.parent}\n\texcludesFile = {home / 'ignore'}\n\tautocrlf = true\n"
        f"[init]\n\ttemplateDir = {home}/nowhere\n[commit]\n\tgpgSign = true\n[user]\n\tuseConfigOnly = true\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(home / "other.git"))
    for name in ("XDG_CONFIG_HOME", "EMAIL", "GIT_CONFIG_GLOBAL", "GIT_AUTHOR_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    before = (home / ".gitconfig").read_text()
    target = place / "Office Heating"
    assert new_repository(target, schema=schema) == RepositoryName(
        "office-heating", "office_heating"
    )
    monkeypatch.delenv("GIT_DIR")
    files = git(target, "ls-files").splitlines()
    for name in (
        *("README.md", "pyproject.toml", "io.yaml", "allocate.py", "worker.py", "Dockerfile"),
        *("compose.yaml", ".env.example", ".gitignore", ".copier-answers.yml"),
        *(".github/workflows/ci.yml", "artifacts/.gitkeep", "tests/test_task.py"),
        *(f"office_heating/{name}.py" for name in ("__init__", "task", "sampler", "specs")),
        *(f"office_heating/_generated/{name}" for name in ("FILES", "specs.py", "fields.py")),
    ):
        assert name in files
    assert [name for name in files if name.endswith(".whl")]
    assert git(target, "status", "--porcelain") == ""
    assert git(target, "rev-list", "--count", "HEAD").strip() == "1"
    assert (home / ".gitconfig").read_text() == before
    assert os.listdir(place) == ["Office Heating"]  # noqa: PTH208 - names are what is compared


def test_no_trace_of_this_machine(place: Path, schema: Path) -> None:
    """No file but the answers' template source names a folder of this machine; answers are scalars."""
    new_repository(place / "office", schema=schema)
    here = str(Path(__file__).parents[2])
    for path in (place / "office").rglob("*"):
        if path.is_file() and ".git" not in path.parts and path.suffix != ".whl":
            text = path.read_text()
            assert str(place) not in text
            assert here not in text or path.name == ".copier-answers.yml"
            assert "{{" not in text
            assert "{%" not in text


def test_same_wheel_twice(place: Path, schema: Path) -> None:
    """The carried wheel has the same bytes each time."""
    wheels = []
    for name in ("one", "two"):
        new_repository(place / name, schema=schema)
        wheels += [path.read_bytes() for path in (place / name / "vendor").iterdir()]
    assert len(wheels) == 2
    assert wheels[0] == wheels[1]


def test_an_example_brings_its_own_files(place: Path) -> None:
    """The example's task, artifacts and tests are there, with imports of the new package."""
    new_repository(place / "my-room", example="room")
    repository = place / "my-room"
    assert "ExperimentRegistry.Register" in (repository / "my_room/task.py").read_text()
    assert "TaskNotWritten" not in (repository / "my_room/task.py").read_text()
    assert list((repository / "artifacts/weather").glob("*.csv"))
    assert "from my_room import" in (repository / "tests/test_physics.py").read_text()
    assert "room" in examples()


def test_an_empty_folder_is_filled(
    place: Path, schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory itself may become the repository."""
    target = place / "office"
    target.mkdir()
    monkeypatch.chdir(target)
    new_repository(Path(), schema=schema)
    assert (target / "io.yaml").is_file()
    assert git(target, "status", "--porcelain") == ""
    assert [path.name for path in place.iterdir()] == ["office"]


def test_a_folder_with_something_in_it_is_refused(place: Path, schema: Path) -> None:
    """What is there stays as it is, and is named."""
    (place / "office").mkdir()
    (place / "office" / "thesis.tex").write_text("mine")
    with pytest.raises(RepositoryError, match=r"is not empty \(thesis.tex\)"):
        new_repository(place / "office", schema=schema)
    assert [path.name for path in (place / "office").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either --schema FILE or --example NAME"),
        ({"example": "rom"}, "no example 'rom'. There are: .*room"),
        ({"example": "../room"}, "no example"),
        ({"example": "room", "name": "class"}, "keyword"),
        ({"example": "room", "name": "numpy"}, "hide the module numpy"),
        ({"example": "room", "name": "tests"}, "something else of that name"),
        ({"example": "room", "name": "2nd try"}, "a letter first"),
        ({"example": "room", "name": "../x"}, "a letter first"),
        ({"example": "room", "name": "wärme"}, "a letter first"),
    ],
)
def test_what_cannot_be_is_refused(place: Path, options: dict[str, str], message: str) -> None:
    """The message says what is wrong, and nothing has been written."""
    with pytest.raises(RepositoryError, match=message):
        new_repository(place / "office", **options)
    assert list(place.iterdir()) == []


def test_all_problems_are_told_at_once(place: Path, schema: Path) -> None:
    """Name, place and definition are all checked before the first message."""
    schema.write_text("input: {a: {type: nubmer}}\noutput: {b: {type: number, minimun: 1}}\n")
    with pytest.raises(GenError) as raised:
        new_repository(place / "not" / "there", schema=schema, name="class")
    text = str(raised.value)
    for part in ("Python has that keyword", "mkdir -p", "nubmer", "minimun"):
        assert part in text


def test_two_mistakes_of_the_command_line_are_both_told(place: Path, schema: Path) -> None:
    """A good definition does not hide what else is wrong."""
    (place / "office").write_text("a file")
    with pytest.raises(RepositoryError) as raised:
        new_repository(place / "office", schema=schema, example="room")
    for part in ("is not a folder", "either --schema FILE or --example NAME"):
        assert part in str(raised.value)
    assert (place / "office").read_text() == "a file"


def test_a_bad_definition_leaves_nothing(place: Path, schema: Path) -> None:
    """A definition with problems is refused with all of them."""
    schema.write_text("input: {a: {type: nubmer}}\noutput: {b: {type: number, minimun: 1}}\n")
    with pytest.raises(DefinitionError) as raised:
        new_repository(place / "office", schema=schema)
    assert len(raised.value.problems) == 2
    assert list(place.iterdir()) == []


def test_a_failure_half_way_leaves_nothing(
    place: Path, schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without git there is one message and no half-made folder."""
    monkeypatch.setenv("PATH", str(place / "nothing"))
    with pytest.raises(RepositoryError, match="git is not installed"):
        new_repository(place / "office", schema=schema)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["new", "a/b", "--schema", "io.yaml"], 2, "mkdir -p"),
        (["new", "x", "--schema", "missing.yaml"], 2, "missing.yaml"),
        (["check"], 2, "tool.scythe"),
        (["validate", "missing.yaml"], 2, "missing.yaml"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_mistakes_are_one_message(
    place: Path, arguments: list[str], code: int, message: str
) -> None:
    """The command line has exit code 2 and no traceback for a user's mistake."""
    (place / "io.yaml").write_text(IO)
    done = subprocess.run(
        [sys.executable, "-c", "from scythe_gen.cli import main; main()", *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "package"),
    [("office", "office"), ("Office Heating", "office_heating"), ("a.b-c", "a_b_c"), ("x2", "x2")],
)
def test_names_follow_from_the_folder(text: str, package: str) -> None:
    """Spaces, dots and dashes become underscores."""
    assert repository_name(text).package == package


def test_ctrl_c_leaves_nothing(place: Path, schema: Path) -> None:
    """Interrupted in the middle: exit code 130, no traceback, and no half-made folder."""
    command = ("from scythe_gen.cli import main; main()", "new", "office", "--schema", str(schema))
    with subprocess.Popen(
        [sys.executable, "-c", *command],
        cwd=place,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 30
        while not any(place.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "interrupted; nothing has been made\n"
    assert list(place.iterdir()) == []


def command_line(*arguments: str, cwd: Path, typed: str | None = None) -> tuple[int, str]:
    """Return exit code and output of scythe-gen, on a terminal where something is typed."""
    command = [sys.executable, "-c", "from scythe_gen.cli import main; main()", *arguments]
    if typed is None:
        done = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr
    outer, inner = pty.openpty()
    with subprocess.Popen(
        command, cwd=cwd, stdin=inner, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        os.write(outer, typed.encode())
        said, _ = process.communicate(timeout=60)
    os.close(outer)
    os.close(inner)
    return process.returncode, said


def test_without_arguments_it_asks(place: Path) -> None:
    """On a terminal: for a name and for a definition or an example, again where there is no such thing."""
    code, said = command_line("new", cwd=place, typed="office\nnonsense\nborehole\n")
    assert code == 0, said
    assert "nonsense is neither a file nor an example" in said
    assert (place / "office" / "io.yaml").is_file()


def test_a_bad_name_is_refused_at_the_question(place: Path) -> None:
    """Each name or place that cannot be is told at once, before the next question."""
    (place / "full").mkdir()
    (place / "full" / "thesis.tex").touch()
    code, said = command_line("new", cwd=place, typed="class\nfull\na/b\noffice\nborehole\n")
    assert code == 0, said
    question = said.index("Its definition")
    for text in ("Python has that keyword", "is not empty (thesis.tex)", "mkdir -p"):
        assert 0 <= said.find(text) < question
    assert (place / "office" / "io.yaml").is_file()


def test_the_version_is_told(place: Path) -> None:
    """As the distribution has it."""
    assert command_line("--version", cwd=place) == (0, f"scythe-gen {tool_version()}\n")


@pytest.mark.parametrize("arguments", [[], ["--example", "room"], ["--name", "office"]])
def test_elsewhere_it_asks_nothing(place: Path, arguments: list[str]) -> None:
    """Without a terminal, and with any flag on one, what is missing is a mistake of the command line."""
    code, said = command_line("new", *arguments, cwd=place, typed="office\n" if arguments else None)
    assert code == 2
    assert "DIR: say where: scythe-gen new office --schema io.yaml" in said
    assert list(place.iterdir()) == []


def test_help_has_an_example_for_each_command(place: Path) -> None:
    """Each command's help ends with one line to try."""
    _, said = command_line("--help", cwd=place)
    commands = [line.split()[0] for line in said.partition("Commands:")[2].splitlines() if line]
    assert {"new", "generate", "check", "update", "diff", "validate"} <= set(commands)
    for name in commands:
        assert "..." not in said.partition("Commands:")[2]
        code, text = command_line(name, "--help", cwd=place)
        assert code == 0
        assert "For instance" in text
        assert f"scythe-gen {name}" in text.partition("For instance")[2]


def test_the_shell_completes_examples(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of the examples are offered after --example."""
    monkeypatch.setenv("_SCYTHE_GEN_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "scythe-gen new office --example ")
    monkeypatch.setenv("COMP_CWORD", "4")
    program = Path(sys.executable).with_name("scythe-gen")
    done = subprocess.run([program], cwd=place, capture_output=True, text=True, check=False)
    assert {"borehole", "room"} <= set(done.stdout.split())
