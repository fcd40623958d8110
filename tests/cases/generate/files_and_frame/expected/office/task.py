"""The experiment: what is computed for one sample."""

from pathlib import Path

from scythe_runtime import ExperimentRegistry, TaskNotWritten

from .specs import Input, Output


@ExperimentRegistry.Register()
def simulate(input_spec: Input, tempdir: Path) -> Output:
    """Return the outputs of one sample.

    Args:
        input_spec: Its inputs.
        tempdir: A folder of its own, empty at first; it is gone afterwards.
    """
    # Each input is an attribute:
    #     input_spec.weather  # a file
    #     input_spec.schedule  # a file or None
    #
    # weather is a file. Wherever it came from, it is on this machine by now:
    #     weather = Path(str(input_spec.weather))
    #
    # schedule is a file. Wherever it came from, it is on this machine by now:
    #     if input_spec.schedule is not None:
    #         schedule = Path(str(input_spec.schedule))
    #
    # A simulator is a program that is called in tempdir. With check=True its failure is this
    # sample's failure, which is recorded with the inputs and does not stop the others:
    #     subprocess.run(["simulator", "model.in"], cwd=tempdir, check=True)
    #
    # report goes back as a file: write it into tempdir and return its path:
    #     report = tempdir / "report.csv"
    #
    # hourly goes back as a table, a data frame with these columns:
    #     hourly = pd.DataFrame({"hour": ..., "heat": ...})
    #
    # In the end:
    #     return Output(
    #         report=report,
    #         dataframes={"hourly": hourly},
    #     )
    raise TaskNotWritten(
        "office/task.py: simulate is still the stub. Write it, then: scythe run -n 1"
    )
