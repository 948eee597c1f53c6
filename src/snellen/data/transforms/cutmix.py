"""CutMix: a rectangle of another image in this one, and labels in proportion to what can be seen of both."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch

from snellen.data.transforms.chance import checked_share, uniform
from snellen.data.transforms.geometry import ResizeExact
from snellen.data.transforms.mixing import Fetch, Mix, looked_up
from snellen.data.transforms.transform import Transform
from snellen.errors import InputError
from snellen.structures import ClassTarget, LabelSetTarget, MaskTarget, Sample, Target

__all__ = ["CutMix", "MixingAfter", "cutmix_window"]

Window = tuple[int, int, int, int]  # top, left, bottom, right in pixels


class MixingAfter:
    """A ``Mix`` as a ``Transform``, to be put behind the transforms of single images, which the partner passes too.

    For what must not be cut or moved any more once it is mixed.

    Args:
        mix: What to do.
        fetch: Returns the sample of any row as it is in its file.
        num_rows: Rows to choose from.
        change: The transforms that stand before this one.
    """

    def __init__(self, mix: Mix, fetch: Fetch, num_rows: int, change: Transform) -> None:
        self.mix = mix
        self.fetch = fetch
        self.num_rows = num_rows
        self.change = change

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the mixed sample."""
        return self.mix(sample, lambda row: self.change(self.fetch(row), generator), self.num_rows, generator)


class CutMix:
    """A rectangle of another image, at its own place, pasted over this one.

    Classes are wanted in proportion to the pixels that are left of each image, counted exactly; so it must stand behind
    transforms that cut. Label maps are pasted with their pixels. Objects in boxes would be cut in two without a rule of
    what is left of them: for them there are mosaic and copy-paste.

    Args:
        alpha: Both parameters of the beta distribution of the share that stays; 1 draws every share alike.
        probability: Share of the samples that are mixed.

    Raises:
        InputError: If a number is out of range.

    Source:
        Yun et al. 2019, "CutMix", eq. 1 and 2, https://arxiv.org/abs/1905.04899; the window as in the authors' code,
        with the share taken from its area after it was cut at the edges.
    """

    def __init__(self, alpha: float = 1.0, *, probability: float = 0.5) -> None:
        if alpha <= 0:
            raise InputError(f"CutMix.alpha must be greater than 0; got {alpha}.")
        self.alpha = alpha
        self.probability = checked_share(probability, "CutMix.probability")

    def __call__(self, sample: Sample, fetch: Fetch, num_rows: int, generator: torch.Generator) -> Sample:
        """Return the mixed sample, or the sample."""
        join: Callable[..., Target] = looked_up(_JOIN, sample.target, "CutMix")
        if uniform(generator) >= self.probability:
            return sample
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        share = float(rng.beta(self.alpha, self.alpha))  # torch's beta takes no generator
        size = (sample.image.shape[-2], sample.image.shape[-1])
        partner = ResizeExact(size)(fetch(int(torch.randint(num_rows, (), generator=generator))), generator)
        centre = (int(rng.integers(size[0])), int(rng.integers(size[1])))
        window = cutmix_window(size, share, centre)
        top, left, bottom, right = window
        image = sample.image.clone()
        image[:, top:bottom, left:right] = partner.image[:, top:bottom, left:right]
        kept = 1 - (bottom - top) * (right - left) / (size[0] * size[1])
        return replace(sample, image=image, target=join(sample.target, partner.target, window, kept))


def cutmix_window(size: tuple[int, int], share: float, centre: tuple[int, int]) -> Window:
    """Return the rectangle that is taken from the other image, in the proportions of the image and cut at its edges.

    Args:
        size: Height and width in pixels.
        share: Of the image that is to stay where nothing is cut off, 0..1.
        centre: Row and column of its middle, in pixels.
    """
    edges = []
    for side, middle in zip(size, centre, strict=True):
        half = int(0.5 * math.sqrt(1 - share) * side)
        edges.append((max(middle - half, 0), min(middle + half, side)))
    (top, bottom), (left, right) = edges
    return top, left, bottom, right


def _join_classes(own: ClassTarget, other: ClassTarget, window: Window, kept: float) -> ClassTarget:
    del window
    return ClassTarget(probs=kept * own.probs + (1 - kept) * other.probs)


def _join_label_sets(own: LabelSetTarget, other: LabelSetTarget, window: Window, kept: float) -> LabelSetTarget:
    """Return shares of the classes; what is not known of an image in sight is not known of both."""
    del window
    known = own.known if kept == 1 else other.known if kept == 0 else own.known & other.known
    return LabelSetTarget(shown=kept * own.shown + (1 - kept) * other.shown, known=known)


def _join_labels(own: MaskTarget, other: MaskTarget, window: Window, kept: float) -> MaskTarget:
    del kept
    top, left, bottom, right = window
    labels = own.labels.clone()
    labels[top:bottom, left:right] = other.labels[top:bottom, left:right]
    return MaskTarget(labels=labels)


_JOIN: Mapping[type[Target], Callable[..., Target]] = MappingProxyType(
    {ClassTarget: _join_classes, LabelSetTarget: _join_label_sets, MaskTarget: _join_labels}
)
