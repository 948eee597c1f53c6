"""Steps under way, and their figures on the way from the device."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snellen.doctor.watching.rows import NUM_FACTS, StepRow

__all__ = ["Draft", "Drafts"]

MOST_HELD = 64  # steps that may wait for the device


@dataclass(kw_only=True)
class Draft:
    """A step that is under way; see `StepRow`.

    Attributes:
        sample: Figures on the device, by the names of the row's fields.
        spent_s: Seconds that looking took.
    """

    step: int
    losses: dict[str, Tensor | float] = field(default_factory=dict)
    rates: tuple[float, ...] = ()
    wait_s: float = 0.0
    step_s: float = 0.0
    images: int = 0
    memory: int = 0
    sample: dict[str, Tensor] = field(default_factory=dict)
    spent_s: float = 0.0

    def row(self, figures: list[float]) -> StepRow:
        """Return the row, with the figures that `Drafts.send` sent."""
        start, parts = len(self.losses), {}
        for name, values in self.sample.items():
            parts[name] = tuple(figures[start : start + values.numel()])
            start += values.numel()
        layers = parts.get("layers", ())
        return StepRow(
            step=self.step,
            losses=dict(zip(self.losses, figures, strict=False)),
            rates=self.rates,
            wait_s=self.wait_s,
            step_s=self.step_s,
            images=self.images,
            gradient=parts.get("gradient", ()),
            weight=parts.get("weight", ()),
            update=parts.get("update", ()),
            agreement=parts["agreement"][0] if "agreement" in parts else float("nan"),
            layers=tuple(layers[place : place + NUM_FACTS] for place in range(0, len(layers), NUM_FACTS)),
            named=tuple(map(int, parts.get("named", ()))),
            memory=self.memory,
        )


class Drafts:
    """Steps that are done; on a CUDA device their figures arrive some steps later, and nobody waits for them.

    Args:
        device: Where figures are put together.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._sent: deque[tuple[Draft, Tensor | list[float], torch.cuda.Event | None]] = deque()

    def send(self, draft: Draft) -> None:
        """Send the figures of a step on their way."""
        if self._device.type == "cpu":
            here = [float(value) for value in draft.losses.values()]
            for values in draft.sample.values():
                here += values.flatten().tolist()
            self._sent.append((draft, here, None))
            return
        parts = [
            value.to(self._device).float().reshape(1)
            if isinstance(value, Tensor)
            else torch.full((1,), value, device=self._device)
            for value in draft.losses.values()
        ]
        parts += [values.float().reshape(-1).to(self._device) for values in draft.sample.values()]
        figures = torch.cat(parts) if parts else torch.zeros(0)
        arrived = None
        if self._device.type == "cuda":
            figures = figures.to("cpu", non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record()
        self._sent.append((draft, figures, arrived))

    def arrived(self, *, wait: bool) -> Iterator[StepRow]:
        """Yield the steps whose figures are there; ``wait`` for all of them."""
        while self._sent:
            draft, figures, event = self._sent[0]
            if event is not None:
                if wait or len(self._sent) > MOST_HELD:
                    event.synchronize()
                elif not event.query():  # type: ignore[no-untyped-call]
                    return
            self._sent.popleft()
            yield draft.row(figures if isinstance(figures, list) else figures.tolist())
