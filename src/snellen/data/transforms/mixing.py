"""Transforms that need other images as well: mosaic, mixup, copy-paste.

torchvision's ``v2.MixUp`` and ``v2.CutMix`` mix a whole batch of classified images by one draw, after
collation; they know neither boxes nor masks, and what a row looks like then depends on the batch it fell
into. Here a row is mixed by its own random stream, so that resuming and the number of workers change nothing.
CutMix stands in ``cutmix``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor
from torch.nn import functional
from torchvision.ops import masks_to_boxes
from torchvision.transforms.v2 import functional as v2_functional

from snellen.data.transforms.chance import checked_share, uniform
from snellen.data.transforms.geometry import ResizeExact, short_side_size
from snellen.data.transforms.transform import MIN_VISIBLE, TorchvisionTransform, picked
from snellen.errors import InputError
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Sample, Target, ValueTarget

__all__ = ["CopyPaste", "Fetch", "Mix", "MixUp", "Mixing", "Mosaic", "looked_up"]

Fetch = Callable[[int], Sample]


@runtime_checkable
class Mix(Protocol):
    """Changes one sample with the help of others; whatever is random comes from ``generator`` alone."""

    def __call__(self, sample: Sample, fetch: Fetch, num_rows: int, generator: torch.Generator) -> Sample:
        """Return the mixed sample, under the index, source and original size of ``sample``.

        Args:
            sample: What the row itself shows.
            fetch: Returns the sample of another row; a ``DatasetError`` of it is passed on.
            num_rows: Rows to choose from.
            generator: The row's random stream.
        """


class Mixing:
    """A ``Mix`` as a ``Transform``: to be put before the transforms of single images.

    Args:
        mix: What to do.
        fetch: Returns the sample of any row as it is in its file, such as ``ImageDataset.untransformed``.
        num_rows: Rows to choose from.
    """

    def __init__(self, mix: Mix, fetch: Fetch, num_rows: int) -> None:
        self.mix = mix
        self.fetch = fetch
        self.num_rows = num_rows

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the mixed sample."""
        return self.mix(sample, self.fetch, self.num_rows, generator)


class Mosaic:
    """Four images around a random point of one canvas twice as large.

    For boxes and for label maps. Objects cut by the borders follow ``MIN_VISIBLE``.

    Args:
        size: Long side to which each of the four is resized; the canvas is twice this.
        probability: Share of the samples that become a mosaic.

    Source:
        Bochkovskiy et al. 2020, "YOLOv4", section 3.3; the range of the point is that of Ultralytics' YOLOv5.
    """

    def __init__(self, size: int, *, probability: float = 0.5) -> None:
        self.size = size
        self.probability = checked_share(probability, "Mosaic.probability")

    def __call__(self, sample: Sample, fetch: Fetch, num_rows: int, generator: torch.Generator) -> Sample:
        """Return a mosaic with ``sample`` at the top left, or the sample."""
        if uniform(generator) >= self.probability:
            return sample
        join = looked_up(_JOIN, sample.target, "Mosaic")
        column, row = (int(self.size * (0.5 + uniform(generator))) for _ in range(2))
        others = torch.randint(num_rows, (3,), generator=generator).tolist()
        tiles = [self._fitted(tile, generator) for tile in (sample, *(fetch(other) for other in others))]
        side = 2 * self.size
        quadrants = [
            (0, 0, row, column),
            (0, column, row, side),
            (row, 0, side, column),
            (row, column, side, side),
        ]
        parts = [
            _cut(tile, quadrant, (row, column), generator) for tile, quadrant in zip(tiles, quadrants, strict=True)
        ]
        image = sample.image.new_zeros((3, side, side))
        for part, (top, left, bottom, right) in zip(parts, quadrants, strict=True):
            image[:, top:bottom, left:right] = part.image
        target = join([part.target for part in parts], [quadrant[:2] for quadrant in quadrants], (side, side))
        return replace(sample, image=image, target=target)

    def _fitted(self, sample: Sample, generator: torch.Generator) -> Sample:
        size = (sample.image.shape[-2], sample.image.shape[-1])
        return ResizeExact(short_side_size(size, short_side=self.size, max_side=self.size))(sample, generator)


def _cut(
    tile: Sample, quadrant: tuple[int, int, int, int], point: tuple[int, int], generator: torch.Generator
) -> Sample:
    """Return the part of a tile that lies in its quadrant when the tile's inner corner lies on ``point``."""
    top, left, bottom, right = quadrant
    height, width = tile.image.shape[-2:]
    tile_top = point[0] - height if top == 0 else top
    tile_left = point[1] - width if left == 0 else left
    box = {"top": top - tile_top, "left": left - tile_left, "height": bottom - top, "width": right - left}
    return TorchvisionTransform(partial(_cropped, box))(tile, generator)


def _cropped(box: Mapping[str, int], entries: dict[str, Any]) -> dict[str, Any]:
    return {name: v2_functional.crop(entry, **box) for name, entry in entries.items()}


class MixUp:
    """Two images blended.

    For classes and values the targets blend as the pixels do, and the partner is resized to the sample. For boxes the
    partner keeps its shape, is laid on at the top left, and the objects of both are wanted.

    Args:
        alpha: Both parameters of the beta distribution of the sample's share: 0.2 for what is said of whole images
            (Zhang et al.), 1.5 for boxes (Zhang et al. 2019).
        probability: Share of the samples that are blended.

    Source:
        Zhang et al. 2018, "mixup", eq. 1-2; for boxes Zhang et al. 2019, "Bag of freebies", section 3.1.
    """

    def __init__(self, alpha: float, *, probability: float = 0.5) -> None:
        if alpha <= 0:
            raise InputError(f"MixUp.alpha must be greater than 0; got {alpha}.")
        self.alpha = alpha
        self.probability = checked_share(probability, "MixUp.probability")

    def __call__(self, sample: Sample, fetch: Fetch, num_rows: int, generator: torch.Generator) -> Sample:
        """Return the blend, or the sample."""
        if uniform(generator) >= self.probability:
            return sample
        blend: Callable[..., Sample] = looked_up(_BLEND, sample.target, "MixUp")
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        share = float(rng.beta(self.alpha, self.alpha))  # torch's beta takes no generator
        partner = fetch(int(torch.randint(num_rows, (), generator=generator)))
        return blend(sample, partner, share, generator)


def _blended(one: UInt8[Tensor, "3 h w"], other: UInt8[Tensor, "3 h w"], share: float) -> UInt8[Tensor, "3 h w"]:
    return (one.float() * share + other.float() * (1 - share)).round().to(torch.uint8)


def _blend_boxes(sample: Sample, partner: Sample, share: float, generator: torch.Generator) -> Sample:
    del generator
    height = max(sample.image.shape[-2], partner.image.shape[-2])
    width = max(sample.image.shape[-1], partner.image.shape[-1])
    images = [
        functional.pad(image, (0, width - image.shape[-1], 0, height - image.shape[-2]))
        for image in (sample.image, partner.image)
    ]
    target = _join_boxes([_boxes_of(sample), _boxes_of(partner)], [(0, 0), (0, 0)], (height, width))
    return replace(sample, image=_blended(images[0], images[1], share), target=target)


def _blend_classes(sample: Sample, partner: Sample, share: float, generator: torch.Generator) -> Sample:
    size = (sample.image.shape[-2], sample.image.shape[-1])
    partner = ResizeExact(size)(partner, generator)
    own, other = cast(ClassTarget, sample.target), cast(ClassTarget, partner.target)
    target = ClassTarget(probs=share * own.probs + (1 - share) * other.probs)
    return replace(sample, image=_blended(sample.image, partner.image, share), target=target)


def _blend_label_sets(sample: Sample, partner: Sample, share: float, generator: torch.Generator) -> Sample:
    """Return shares of the classes; what is not known of one image is not known of the blend."""
    size = (sample.image.shape[-2], sample.image.shape[-1])
    partner = ResizeExact(size)(partner, generator)
    own, other = cast(LabelSetTarget, sample.target), cast(LabelSetTarget, partner.target)
    shown = share * own.shown + (1 - share) * other.shown
    target = LabelSetTarget(shown=shown, known=own.known & other.known)
    return replace(sample, image=_blended(sample.image, partner.image, share), target=target)


def _blend_values(sample: Sample, partner: Sample, share: float, generator: torch.Generator) -> Sample:
    """Return values between those of the images; what is not known of one image is not known of the blend."""
    size = (sample.image.shape[-2], sample.image.shape[-1])
    partner = ResizeExact(size)(partner, generator)
    own, other = cast(ValueTarget, sample.target), cast(ValueTarget, partner.target)
    values = share * own.values + (1 - share) * other.values
    target = ValueTarget(values=values, known=own.known & other.known)
    return replace(sample, image=_blended(sample.image, partner.image, share), target=target)


class CopyPaste:
    """Objects of another image pasted over this one, which hides what lies beneath.

    Cut out along their masks. Where the partner has boxes only, the whole rectangle is pasted: background
    comes along, which detectors stand well (Dwibedi et al. 2017 found the seam to matter less than the
    variety). Boxes of hidden objects shrink to what can be seen if there are masks; objects of which less
    than ``MIN_VISIBLE`` is left go.

    Args:
        share: Of the partner's objects, this share is pasted on average.
        probability: Share of the samples that receive objects.

    Source:
        Ghiasi et al. 2021, "Simple Copy-Paste", section 3. Differs: the edge is hard (the paper found
        blurring it to change nothing); jitter and flip are left to the transforms that follow.
    """

    def __init__(self, *, share: float = 0.5, probability: float = 0.5) -> None:
        self.share = checked_share(share, "CopyPaste.share")
        self.probability = checked_share(probability, "CopyPaste.probability")

    def __call__(self, sample: Sample, fetch: Fetch, num_rows: int, generator: torch.Generator) -> Sample:
        """Return the sample with pasted objects, or the sample."""
        if uniform(generator) >= self.probability:
            return sample
        looked_up(_PASTE, sample.target, "CopyPaste")
        size = (sample.image.shape[-2], sample.image.shape[-1])
        partner = ResizeExact(size)(fetch(int(torch.randint(num_rows, (), generator=generator))), generator)
        objects = _boxes_of(partner)
        chosen = torch.rand(len(objects.labels), generator=generator) < self.share
        pasted = picked(objects, chosen & ~objects.ignored)
        if not len(pasted.labels):
            return sample
        shapes = pasted.masks if pasted.masks is not None else _rectangles(pasted, size)
        stencil = (shapes > 0).any(dim=0)  # any of bytes is a byte
        image = torch.where(stencil, partner.image, sample.image)
        seen = _not_hidden(_boxes_of(sample), stencil)
        return replace(sample, image=image, target=_join_boxes([seen, pasted], [(0, 0), (0, 0)], size))


def _boxes_of(sample: Sample) -> BoxTarget:
    """Return the target, which the tables below let through only if it has boxes."""
    return cast(BoxTarget, sample.target)


def _rectangles(target: BoxTarget, size: tuple[int, int]) -> UInt8[Tensor, "n h w"]:
    """Return a mask for each box."""
    rows = torch.arange(size[0])[None, :, None] + 0.5
    columns = torch.arange(size[1])[None, None, :] + 0.5
    left, top, right, bottom = (edge[:, None, None] for edge in target.boxes.unbind(-1))
    return ((rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)).to(torch.uint8)


def _not_hidden(target: BoxTarget, stencil: Bool[Tensor, "h w"]) -> BoxTarget:
    """Return the objects that can be seen around the stencil."""
    if not len(target.labels):
        return target
    size = (stencil.shape[0], stencil.shape[1])
    shapes = target.masks if target.masks is not None else _rectangles(target, size)
    seen = shapes * ~stencil
    before, after = shapes.flatten(1).sum(-1), seen.flatten(1).sum(-1)
    keep = (after > 0) & (after >= MIN_VISIBLE * before)
    if target.masks is None:
        return picked(target, keep)
    rest = picked(replace(target, masks=seen), keep)
    if not len(rest.labels) or rest.masks is None:
        return rest
    edges = masks_to_boxes(rest.masks) + rest.boxes.new_tensor([0, 0, 1, 1])  # torchvision gives the last pixel itself
    touched = (after < before)[keep]
    return replace(rest, boxes=torch.where(touched[:, None], edges, rest.boxes))


def _join_boxes(targets: Sequence[BoxTarget], corners: Sequence[tuple[int, int]], size: tuple[int, int]) -> BoxTarget:
    """Return the objects of several targets on one canvas, each moved to its (top, left) corner."""
    moved = [t.boxes + t.boxes.new_tensor([left, top] * 2) for t, (top, left) in zip(targets, corners, strict=True)]
    masks = []
    for target, (top, left) in zip(targets, corners, strict=True):
        if target.masks is not None:
            height, width = target.masks.shape[-2:]
            masks.append(functional.pad(target.masks, (left, size[1] - left - width, top, size[0] - top - height)))
    return BoxTarget(
        boxes=torch.cat(moved),
        labels=torch.cat([target.labels for target in targets]),
        valid=torch.cat([target.valid for target in targets]),
        ignored=torch.cat([target.ignored for target in targets]),
        masks=torch.cat(masks) if len(masks) == len(targets) else None,
    )


def _join_labels(
    targets: Sequence[MaskTarget], corners: Sequence[tuple[int, int]], size: tuple[int, int]
) -> MaskTarget:
    labels = targets[0].labels.new_zeros(size)
    for target, (top, left) in zip(targets, corners, strict=True):
        height, width = target.labels.shape
        labels[top : top + height, left : left + width] = target.labels
    return MaskTarget(labels=labels)


def looked_up(table: Mapping[type[Target], Callable[..., Any]], target: Target, name: str) -> Callable[..., Any]:
    """Return the entry for a type of target, or say which types there are."""
    if type(target) not in table:
        known = " and ".join(kind.__name__ for kind in table)
        raise InputError(f"{name} works on {known}; this data set gives {type(target).__name__}. Leave {name} out.")
    return table[type(target)]


_JOIN: Mapping[type[Target], Callable[..., Target]] = MappingProxyType(
    {BoxTarget: _join_boxes, MaskTarget: _join_labels}
)
_BLEND: Mapping[type[Target], Callable[..., Sample]] = MappingProxyType(
    {
        BoxTarget: _blend_boxes,
        ClassTarget: _blend_classes,
        LabelSetTarget: _blend_label_sets,
        ValueTarget: _blend_values,
    }
)
_PASTE: Mapping[type[Target], Callable[..., Target]] = MappingProxyType({BoxTarget: _join_boxes})
