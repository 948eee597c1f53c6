"""Judging what was seen of a training while it goes on, and telling what is new."""

import logging
from collections.abc import Callable
from time import perf_counter

from snellen.doctor.catalog import CHECKS
from snellen.doctor.check import Check, Stage
from snellen.doctor.diagnosis import Diagnosis, diagnose
from snellen.doctor.evidence.catalog import TRAINING_SOURCES
from snellen.doctor.evidence.gathering import Evidence
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level
from snellen.doctor.watching.board import Board, pin
from snellen.doctor.watching.trace import Trace

__all__ = ["JUDGING_SHARE", "Teller", "judged"]

_LOG = logging.getLogger("snellen.watch")

FIRST_JUDGED = 20  # steps
JUDGED_AGAIN = 1.2  # times as many steps
JUDGING_SHARE = 0.002  # of the time that judging may take


def judged(trace: Trace, setup: Setup | None = None) -> Diagnosis:
    """Return what the checks of trainings say of a trace.

    Args:
        trace: Of a training that goes on or is over.
        setup: What was planned; what the trace says of it if None.
    """
    given = [trace] if setup is None else [trace, setup]
    return diagnose(Evidence(given, TRAINING_SOURCES), [check for check in CHECKS if check.stage == Stage.TRAINING])


class Teller:
    """Judges a training again and again, and tells each finding once, and once more if it has become grave.

    Args:
        on_finding: Called with each finding of level warning or error, and its text; None logs them.
        board: Where all findings are pinned, or None.
        setup: What is planned.
    """

    def __init__(
        self, on_finding: Callable[[Finding, str], None] | None, board: Board | None, setup: Setup | None
    ) -> None:
        self._on_finding, self._board, self._setup = on_finding or _log, board, setup
        self._from_step = FIRST_JUDGED
        self._from_s = 0.0  # time before which nothing is judged
        self._told: set[tuple[str, str, bool]] = set()

    def is_due(self, step: int) -> bool:
        """Return whether so many steps are done that it is worth judging again, and whether there is time for it."""
        return step >= self._from_step and self.has_time

    @property
    def has_time(self) -> bool:
        """Whether judging has taken no more of the time than its share."""
        return perf_counter() >= self._from_s

    def tell(self, seen: Callable[[], Trace], step: int) -> None:
        """Judge what was seen, and tell what is new.

        Args:
            seen: Gives what was seen; putting it together counts as judging.
            step: Steps that are done.
        """
        began = perf_counter()
        self._from_step = max(FIRST_JUDGED, round(step * JUDGED_AGAIN))
        found = judged(seen(), self._setup)
        for finding in found.findings:
            key = (finding.code, finding.message, finding.level >= Level.WARNING)
            if key not in self._told:
                self._told.add(key)
                self._say(finding, found.check_of(finding), step)
        now = perf_counter()
        self._from_s = now + (now - began) / JUDGING_SHARE

    def _say(self, finding: Finding, check: Check, step: int) -> None:
        if finding.level >= Level.WARNING:
            self._on_finding(finding, check.pages["en"].message(finding))
        if self._board is not None:
            pin(self._board, finding, check, step)


def _log(finding: Finding, text: str) -> None:
    _LOG.log(logging.ERROR if finding.level == Level.ERROR else logging.WARNING, "%s: %s", finding.code, text)
