"""10,000 trivial specs, whole processes from cold: ours beside the peers, interleaved.

python local_10k.py [REPEATS]
"""

import sys

from measure import Measured, head, median, run, verdict

N = "10000"
WAYS = ("ours", "joblib", "loop", "futures")
SLOW = ("dask", "ray", "parsl")


def main(repeats: int) -> int:
    """Print times and ratios; 1 if the bound is not met."""
    head("10,000 trivial specs, 6 inputs, 4 outputs, list of models to tables on disk")
    times: dict[str, list[Measured]] = {}
    for number in range(repeats):
        for way in WAYS + (SLOW if number == 0 else ()):
            found = run("local.py", way, N)
            assert found.answer is not None, found.said
            times.setdefault(way, []).append(found)
    for way, all_ in times.items():
        best = min(m.seconds for m in all_)
        print(
            f"{way:10}{median(all_):6.2f} s (best {best:.2f}, of {len(all_)}; CPU {all_[0].cpu_s:.2f})"
        )
    answer = times["ours"][0].answer
    print("ours, by stage:", {k: round(v, 2) for k, v in answer.items()})
    joblib = median(times["joblib"])
    met = verdict("ours beside joblib", median(times["ours"]) / joblib, 0.75)
    for way in SLOW:
        met &= verdict(f"ours beside {way}", median(times["ours"]) / median(times[way]), 0.75)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
