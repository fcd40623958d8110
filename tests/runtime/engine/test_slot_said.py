"""What specs log is told to whoever asked for the batch: in few messages, within bounds, and not by forks."""

from scythe_runtime.batches import Batch
from scythe_runtime.engine._said import MOST_CHARACTERS


def told(field, bad, **options):
    """Return the messages of lines that a batch of ten rows has told."""
    messages: list[list[str]] = []
    pool = field.pool(bad, tells=True, **options)
    pool.run([Batch("p", 0, (range(10),))], field.note, said=messages.append)
    return messages


def test_lines_travel_together(field):
    """Nine lines of one batch are one message, whole and in order."""
    assert told(field, dict.fromkeys(range(9), "log")) == [["a line"] * 9]


def test_a_line_arrives_while_the_row_goes_on(field):
    """What a row logged before it killed its process arrives, though its batch never ended there."""
    messages = told(field, {4: "log-and-die"})
    assert messages
    assert all(lines == ["a last line"] for lines in messages)
    assert list(field.failures()) == [4]


def test_no_batch_logs_without_end(field):
    """Of 20,000 lines some are told, and how many are not; the next batch may log again."""
    messages: list[list[str]] = []
    pool = field.pool({3: "log-without-end", 15: "log"}, tells=True, slots=1)
    work = [Batch("p", 0, (range(10),)), Batch("p", 1, (range(10, 20),))]
    pool.run(work, field.note, said=messages.append)
    lines = [line for message in messages for line in message]
    *some, rest, last = lines
    assert some == [f"line {number}" for number in range(len(some))]
    assert MOST_CHARACTERS * 0.9 < sum(map(len, some)) <= MOST_CHARACTERS
    assert rest == f"… {20_000 - len(some):,} more lines of this batch are left out"
    assert last == "a line"
    assert len(messages) <= 4


def test_forks_of_a_row_are_not_heard(field):
    """A process that a row forks has no part in the connection: only the row's own line is told."""
    assert told(field, {2: "log-in-a-fork"}) == [["the parent's line"]]


def test_nobody_is_told_who_does_not_ask(field):
    """A pool that was not made to tell tells nothing."""
    messages: list[list[str]] = []
    pool = field.pool({1: "log"})
    pool.run([Batch("p", 0, (range(10),))], field.note, said=messages.append)
    assert messages == []
