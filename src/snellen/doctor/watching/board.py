"""Findings where curves are looked at: TensorBoard, or anything that takes its two calls."""

from typing import Any, Protocol

from snellen.doctor.check import Check
from snellen.doctor.finding import Finding

__all__ = ["Board", "pin"]


class Board(Protocol):
    """What a finding is pinned to; ``torch.utils.tensorboard.SummaryWriter`` is one."""

    def add_text(self, tag: str, text_string: str, global_step: int | None = None) -> Any:
        """Add a text in Markdown."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int | None = None) -> Any:
        """Add a point of a curve."""


def pin(board: Board, finding: Finding, check: Check, step: int) -> None:
    """Add what a finding says as a text, and its level (1 info, 2 warning, 3 error) as a point at the step.

    Args:
        board: Where.
        finding: What was found.
        check: That found it.
        step: At which it was found.
    """
    page = check.pages["en"]
    tag = f"doctor/{check.code} {check.name}"
    text = f"**{finding.level.name}**: {page.message(finding)}\n\nFix: {page.fix_of(finding)}"
    board.add_text(tag, text, step)
    board.add_scalar(tag, float(finding.level), step)
