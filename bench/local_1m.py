"""A million trivial specs from a list of models and from a table, beside a plain loop; time and memory.

python local_1m.py [N]
"""

import sys

from measure import head, run, verdict


def main(n: int) -> int:
    """Print times, ratios and memory; 1 if a bound is not met."""
    head(f"{n:,} trivial specs: whole processes, memory of all their processes together")
    found = {
        way: run("local.py", way, str(size), watch_memory=True, timeout_s=300)
        for way, size in (("ours", n), ("loop", n), ("ours_frame", n))
    }
    found["ours_frame, a tenth"] = run("local.py", "ours_frame", str(n // 10), watch_memory=True)
    found["ours, a tenth"] = run("local.py", "ours", str(n // 10), watch_memory=True)
    for way, m in found.items():
        assert m.answer is not None, m.said
        stages = ", ".join(
            f"{k} {v:.1f}" for k, v in m.answer.items() if k not in {"held_mib", "pandas"}
        )
        if "held_mib" in m.answer:
            stages += f"; {m.tree_mib - m.answer['held_mib']:.0f} MiB over what the user holds"
        print(
            f"{way:20}{m.seconds:6.2f} s (CPU {m.cpu_s:.1f}), driver {m.driver_mib:5.0f} MiB, all {m.tree_mib:5.0f} MiB  {stages}"
        )
    loop, listed, framed = found["loop"], found["ours"], found["ours_frame"]
    over = listed.tree_mib - listed.answer["held_mib"]
    tenth = found["ours_frame, a tenth"]
    met = [
        verdict("from a list, beside the loop", listed.seconds / loop.seconds, 1.2),
        verdict("from a list, over what the user holds", over, 300, "MiB"),
        verdict("from a table, beside the loop", framed.seconds / loop.seconds, 0.5),
        verdict("from a table, all processes", framed.tree_mib, 1024, "MiB"),
        verdict(
            "ten times the specs, in run time",
            framed.answer["run"] / max(tenth.answer["run"], 1e-9),
            13,
        ),
    ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
