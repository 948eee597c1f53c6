"""One step: forward, loss, backward over a few batches; then the change of the weights."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.structures import Batch, Model
from snellen.training.distributed import current_ranks, parallel, without_exchange
from snellen.training.optimizer import shrink, skips_on_device
from snellen.training.precision import autocast
from snellen.training.randomness import seed_batch
from snellen.training.settings import TrainSettings
from snellen.training.state import TrainState

__all__ = ["Stepper", "placed", "total_loss"]


def placed(batch: Batch, device: torch.device, *, channels_last: bool = False) -> Batch:
    """Return ``batch`` on ``device``, its pixels laid out for the model."""
    batch = batch.to(device, non_blocking=True)
    if not channels_last:
        return batch
    pixels = batch.images.pixels.contiguous(memory_format=torch.channels_last)
    return replace(batch, images=replace(batch.images, pixels=pixels))


def total_loss(losses: dict[str, Tensor], model: nn.Module) -> Float[Tensor, ""]:
    """Return the sum of all losses, which is what is minimised."""
    if not losses:
        raise ConfigError(
            f"{type(model).__name__}.loss must return at least one named loss; got none. "
            "Return what is to be minimised."
        )
    return torch.stack([value.float() for value in losses.values()]).sum()


class Stepper:
    """The arithmetic of a step. It decides nothing and waits for nothing.

    Args:
        model: With ``loss``; on its device.
        state: Its optimizer and average are changed.
        settings: Of the run.
    """

    def __init__(self, model: nn.Module, state: TrainState, settings: TrainSettings) -> None:
        self.model = model
        self.state = state
        self.settings = settings
        self.device = next(model.parameters()).device
        self.trained = [parameter for group in state.optimizer.param_groups for parameter in group["params"]]
        self._forward = parallel(model)
        self._rank = current_ranks().rank

    def refresh(self) -> None:
        """Take note that other parameters want gradients than before."""
        self._forward = self.model  # what exchanged the gradients so far lets go of them
        self._forward = parallel(self.model)

    def gradients(self, batches: Sequence[Batch], *, first_number: int) -> tuple[dict[str, Tensor], Float[Tensor, ""]]:
        """Leave the gradient of the mean loss in ``.grad``, clipped; return the mean losses and the norm.

        The mean goes over images: batches of unequal size weigh what they hold, so that several batches give
        the gradient of one large batch wherever the loss is a mean over images.

        Args:
            batches: Of one step.
            first_number: Number of the first batch, counted from the start of training; it seeds the step.
        """
        self.state.optimizer.zero_grad(set_to_none=True)
        images = sum(len(batch) for batch in batches)
        means: dict[str, Tensor] = {}
        for turn, batch in enumerate(batches):
            share = len(batch) / images
            seed_batch(self.device, self.settings.seed, first_number + turn, self._rank)
            with without_exchange(self._forward, skip=turn + 1 < len(batches)):
                losses = self._backward(batch, share)
            for name, value in losses.items():
                part = value if share == 1.0 else value * share
                means[name] = means[name] + part if name in means else part
        return means, self._clipped_norm()

    def apply(self, lr: float, skip: Bool[Tensor, ""]) -> bool:
        """Change the weights, unless ``skip``; return False if the step is known to have been skipped.

        On CUDA the decision stays on the device: fused optimizers take the flag that gradient scaling uses.

        Args:
            lr: Of this step; parts of the model have their shares of it.
            skip: Whether a loss or the gradient was not finite.
        """
        optimizer = self.state.optimizer
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("factor", 1.0)
        lets_device_skip = skips_on_device(optimizer)
        if lets_device_skip:
            optimizer.found_inf = skip.float()  # type: ignore[attr-defined]
        elif bool(skip):
            return False
        optimizer.step()
        if self.settings.l1:
            shrink(optimizer, self.settings.l1, keep=skip.float() if lets_device_skip else None)
        if self.state.average is not None:
            self.state.average.after_step(self.model)
        return True

    def _backward(self, batch: Batch, share: float) -> dict[str, Tensor]:
        batch = placed(batch, self.device, channels_last=self.settings.channels_last)
        learner: Model = self.model  # type: ignore[assignment]  # an nn.Module with the three verbs
        with autocast(self.device, self.settings.precision):
            output = self._forward(batch.images, batch.targets)
            losses = dict(learner.loss(output, batch.targets))
        total = total_loss(losses, self.model)
        (total if share == 1.0 else total * share).backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in losses.items()}

    def _clipped_norm(self) -> Float[Tensor, ""]:
        """Limit the gradient as the settings say; return its 2-norm before, so that what is not finite shows in it.

        Source:
            Pascanu et al. 2013, On the difficulty of training recurrent neural networks, algorithm 1 (the norm), which
            compares it with the cut of each number of Mikolov 2012, https://arxiv.org/abs/1211.5063.
        """
        gradients = [parameter.grad for parameter in self.trained if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        left = norm
        if self.settings.clip_value is not None:
            nn.utils.clip_grad_value_(self.trained, self.settings.clip_value)
            left = nn.utils.get_total_norm(gradients) if self.settings.clip_norm is not None else norm
        if self.settings.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(self.trained, self.settings.clip_norm, left)
        return norm
