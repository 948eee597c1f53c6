"""Watching that losses and gradients stay finite, without making the device wait."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from snellen.training.distributed import shared_max
from snellen.training.events import NonFiniteLoss

__all__ = ["FiniteWatch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """Flags on their way from the device, and what they belong to."""

    step: int
    epoch: int
    names: tuple[str, ...]
    indices: tuple[Tensor, ...]
    flags: Bool[Tensor, " looks"]
    arrived: torch.cuda.Event | None


class FiniteWatch:
    """Tells which steps had a loss or a gradient that is not finite.

    On the processor the answer is there at once. On a CUDA device it is copied in the background and told
    when it has arrived, a step or more later; the optimizer skips the step on the device by itself.

    Args:
        in_a_row: Skipped steps in a row so far.
        device: Where the losses lie.
    """

    def __init__(self, *, in_a_row: int, device: torch.device) -> None:
        self.in_a_row = in_a_row
        self.lags = device.type == "cuda"
        self._looks: deque[_Look] = deque()

    def look(
        self,
        losses: Mapping[str, Float[Tensor, ""]],
        norm: Float[Tensor, ""],
        *,
        step: int,
        epoch: int,
        indices: tuple[Tensor, ...],
    ) -> Bool[Tensor, ""]:
        """Note one step; return, on the device, whether it must be skipped."""
        values = torch.stack([*(loss.float() for loss in losses.values()), norm.detach().float()])
        flags = shared_max((~torch.isfinite(values)).int()).bool()
        skip = flags.any()
        arrived = None
        if self.lags:
            flags = flags.to("cpu", non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record()
        names = (*losses, "gradient")
        self._looks.append(_Look(step=step, epoch=epoch, names=names, indices=indices, flags=flags, arrived=arrived))
        return skip

    def reports(self, *, wait: bool = False) -> Iterator[NonFiniteLoss]:
        """Yield the bad steps that have become known; ``wait`` for all of them."""
        while self._looks:
            arrived = self._looks[0].arrived
            if arrived is not None:
                if wait:
                    arrived.synchronize()
                elif not arrived.query():  # type: ignore[no-untyped-call]
                    return
            look = self._looks.popleft()
            bad = [name for name, flag in zip(look.names, look.flags.tolist(), strict=True) if flag]
            if not bad:
                self.in_a_row = 0
                continue
            self.in_a_row += 1
            yield NonFiniteLoss(
                step=look.step,
                epoch=look.epoch,
                names=tuple(bad[:-1]) if len(bad) > 1 and bad[-1] == "gradient" else tuple(bad),
                indices=tuple(int(row) for rows in look.indices for row in rows.tolist()),
                in_a_row=self.in_a_row,
            )
