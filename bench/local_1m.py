"""A million trivial specs from a list of models and from a table, beside a plain loop; time and memory.

python local_1m.py [N] [REPEATS]

Times are medians of interleaved runs. Memory is watched in runs of its own: looking at it takes time.
"""

import sys

from measure import Measured, head, median, run, verdict

WAYS = ("ours", "loop", "ours_frame")


def measured(way: str, n: int, *, watch_memory: bool = False) -> Measured:
    """Return one run."""
    found = run("local.py", way, str(n), watch_memory=watch_memory, timeout_s=300)
    assert found.answer is not None, found.said
    return found


def over_mib(found: Measured) -> float:
    """Return the memory of all processes over what the user's specs take."""
    return found.tree_mib - found.answer["held_mib"]


def main(n: int, repeats: int) -> int:
    """Print times, ratios and memory; 1 if a bound is not met."""
    head(f"{n:,} trivial specs: whole processes")
    times: dict[str, list[Measured]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way in WAYS:
            times[way].append(measured(way, n))
    tenth = measured("ours_frame", n // 10)
    for way, found in (*times.items(), ("ours_frame, a tenth", [tenth])):
        stages = {k: v for k, v in found[-1].answer.items() if k not in {"held_mib", "pandas"}}
        each = ", ".join(f"{m.seconds:.2f}" for m in found)
        print(
            f"{way:20}{median(found):6.2f} s (of {each}; CPU {found[-1].cpu_s:.1f}; "
            f"{', '.join(f'{k} {v:.1f}' for k, v in stages.items())})"
        )
    print("memory of all processes together, and what of it is not the user's own specs:")
    memory = {}
    for way in ("ours", "ours_frame"):
        for size in (n // 10, n):
            found = memory[way, size] = measured(way, size, watch_memory=True)
            print(f"{way:12}{size:>10,} {found.tree_mib:6.0f} MiB, {over_mib(found):5.0f} MiB")
    loop, listed, framed = (median(times[way]) for way in ("loop", "ours", "ours_frame"))
    growth = times["ours_frame"][-1].answer["run"] / max(tenth.answer["run"], 1e-9)
    met = [
        verdict("from a list, beside the loop", listed / loop, 1.2),
        verdict("from a list, over what the user holds", over_mib(memory["ours", n]), 300, "MiB"),
        verdict("from a table, beside the loop", framed / loop, 0.5),
        verdict("from a table, all processes", memory["ours_frame", n].tree_mib, 1024, "MiB"),
        verdict("ten times the specs, in run time", growth, 13),
    ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*given, *(1_000_000, 3)[len(given) :]))
