"""What is said of answers that fit the truth better once they are read otherwise."""

from snellen.doctor.checks.predictions import points
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.readings import Reading
from snellen.doctor.finding import Finding, Level, Limit

__all__ = ["GAIN", "GAIN_ZH", "RISE", "RISE_ZH", "reading_finding"]

# What a message begins and goes on with, before and after what is done to the answers.
GAIN = "{figure} on {split} is {before}, and {after} if "
GAIN_ZH = "{split} 的 {figure} 为 {before}；若"
RISE = " ({low} to {high} more)"
RISE_ZH = "，则为 {after}（高出 {low} 至 {high}）"


def reading_finding(run: EvaluatedRun, reading: Reading, *, level: Level, limit: float) -> Finding:
    """Return the finding of a reading, with the numbers that the messages want.

    Args:
        run: That was judged.
        reading: What is told.
        level: Of the finding.
        limit: Least gain that is told, a share.
    """
    return Finding(
        level=level,
        message=reading.name,
        numbers={
            **reading.numbers,
            "figure": reading.figure,
            "split": run.judged,
            "before": points(reading.before),
            "after": points(reading.after),
            "low": points(reading.gain.low),
            "high": points(reading.gain.high),
        },
        measured=reading.gain.mean,
        limit=Limit(value=limit, unit=reading.figure, source="set here; bootstrap for the interval"),
    )
