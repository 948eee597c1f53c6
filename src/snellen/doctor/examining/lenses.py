"""Where the images and the targets are in a batch, whatever form it has, and how to change them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.nn import functional

from snellen.errors import InputError
from snellen.structures import Batch

__all__ = ["Lens", "MappingLens", "PairLens", "SnellenLens", "TensorLens", "described", "lens_of"]

# Names of the images and of the targets in batches that are mappings, the most usual first.
_IMAGE_KEYS = ("pixel_values", "images", "image", "inputs", "input", "img", "imgs", "x", "data")
_TARGET_KEYS = ("labels", "label", "targets", "target", "y", "masks", "mask", "mask_labels", "class_labels")


class Lens(Protocol):
    """What every form of batch can be asked."""

    def images(self, batch: Any) -> Tensor:
        """Return all images as one tensor, ``[batch channels height width]`` if they are laid out as usual."""

    def with_images(self, batch: Any, images: Tensor) -> Any:
        """Return a copy of the batch with other images of the same shape and dtype."""

    def targets(self, batch: Any) -> Any:
        """Return what the model should have said, in the form that the batch has it; None if there is nothing."""

    def with_targets(self, batch: Any, targets: Any) -> Any:
        """Return a copy of the batch with other targets."""

    def rows(self, batch: Any, indices: Int64[Tensor, " rows"]) -> Any:
        """Return the batch of these samples, in this order; a sample may come several times."""


class SnellenLens:
    """Batches of type `snellen.structures.Batch`; their images are bytes."""

    def images(self, batch: Batch) -> Tensor:
        """Return the pixels, uint8."""
        return batch.images.pixels

    def with_images(self, batch: Batch, images: Tensor) -> Batch:
        """Return a copy with other pixels."""
        return replace(batch, images=replace(batch.images, pixels=images))

    def targets(self, batch: Batch) -> Any:
        """Return the batched target."""
        return batch.targets

    def with_targets(self, batch: Batch, targets: Any) -> Batch:
        """Return a copy with another target."""
        return replace(batch, targets=targets)

    def rows(self, batch: Batch, indices: Int64[Tensor, " rows"]) -> Batch:
        """Return these samples."""
        return batch.map(lambda tensor: tensor[indices.to(tensor.device)])


class TensorLens:
    """Batches that are nothing but images."""

    def images(self, batch: Any) -> Tensor:
        """Return the batch."""
        return _stacked(batch)

    def with_images(self, batch: Any, images: Tensor) -> Any:
        """Return the images in the form of the batch."""
        return _in_form_of(batch, images)

    def targets(self, batch: Any) -> Any:  # noqa: ARG002 - the form has none
        """Return None."""
        return None

    def with_targets(self, batch: Any, targets: Any) -> Any:
        """Refuse."""
        del batch, targets
        raise InputError("expected a batch with targets; got one that is nothing but images. Pass (images, targets).")

    def rows(self, batch: Any, indices: Int64[Tensor, " rows"]) -> Any:
        """Return these images."""
        return _picked(batch, indices, _length(batch))


@dataclass(frozen=True)
class PairLens:
    """Batches that are tuples or lists, images and targets at given places, anything behind.

    Attributes:
        image_at: Place of the images.
        target_at: Place of the targets, or None.
    """

    image_at: int = 0
    target_at: int | None = 1

    def images(self, batch: Sequence[Any]) -> Tensor:
        """Return the images."""
        return _stacked(batch[self.image_at])

    def with_images(self, batch: Sequence[Any], images: Tensor) -> Any:
        """Return a copy with other images."""
        return _replaced(batch, self.image_at, _in_form_of(batch[self.image_at], images))

    def targets(self, batch: Sequence[Any]) -> Any:
        """Return the targets."""
        return None if self.target_at is None else batch[self.target_at]

    def with_targets(self, batch: Sequence[Any], targets: Any) -> Any:
        """Return a copy with other targets."""
        if self.target_at is None:
            raise InputError("expected a batch with targets; got one without. Pass (images, targets).")
        return _replaced(batch, self.target_at, targets)

    def rows(self, batch: Sequence[Any], indices: Int64[Tensor, " rows"]) -> Any:
        """Return these samples."""
        length = _length(batch[self.image_at])
        return _like(batch, [_picked(part, indices, length) for part in batch])


@dataclass(frozen=True)
class MappingLens:
    """Batches that are dictionaries.

    Attributes:
        image_key: Of the images.
        target_key: Of the targets, or None.
    """

    image_key: str
    target_key: str | None

    def images(self, batch: Mapping[str, Any]) -> Tensor:
        """Return the images."""
        return _stacked(batch[self.image_key])

    def with_images(self, batch: Mapping[str, Any], images: Tensor) -> Any:
        """Return a copy with other images."""
        return {**batch, self.image_key: _in_form_of(batch[self.image_key], images)}

    def targets(self, batch: Mapping[str, Any]) -> Any:
        """Return the targets."""
        return None if self.target_key is None else batch[self.target_key]

    def with_targets(self, batch: Mapping[str, Any], targets: Any) -> Any:
        """Return a copy with other targets."""
        if self.target_key is None:
            raise InputError(f"expected a batch with targets; got the keys {', '.join(batch)}. Pass targets=KEY.")
        return {**batch, self.target_key: targets}

    def rows(self, batch: Mapping[str, Any], indices: Int64[Tensor, " rows"]) -> Any:
        """Return these samples."""
        length = _length(batch[self.image_key])
        return {key: _picked(part, indices, length) for key, part in batch.items()}


def lens_of(batch: Any, images: int | str | None = None, targets: int | str | None = None) -> Lens:
    """Return the lens that fits a batch.

    Args:
        batch: Of any form.
        images: Place or key of the images, where it is not the usual one.
        targets: Place or key of the targets, where it is not the usual one.

    Raises:
        InputError: If no images are found.
    """
    if isinstance(batch, Batch):
        return SnellenLens()
    if isinstance(batch, Mapping):
        return _mapping_lens(batch, images, targets)
    if _is_images(batch) and images is None:
        return TensorLens()
    if isinstance(batch, Sequence) and not isinstance(batch, str) and len(batch):
        return _pair_lens(batch, images, targets)
    raise InputError(
        "expected a batch such as (images, targets), a dictionary with 'pixel_values' or 'images', or a tensor of "
        f"images; got {described(batch)}. Pass forward= and loss= as functions of the batch, and a batch in one of "
        "these forms."
    )


def _mapping_lens(batch: Mapping[str, Any], images: int | str | None, targets: int | str | None) -> MappingLens:
    named = [key for key in _IMAGE_KEYS if key in batch and _is_images(batch[key])]
    four_axes = [str(key) for key, part in batch.items() if isinstance(part, Tensor) and part.ndim == 4]
    image_key = str(images) if images is not None else (named + four_axes + [""])[0]
    if image_key not in batch:
        raise InputError(
            f"expected images in the batch, under one of {', '.join(_IMAGE_KEYS)}; got the keys "
            f"{', '.join(map(str, batch))}. Pass images=KEY."
        )
    if targets is not None and targets not in batch:
        raise InputError(f"expected targets under {targets!r}; got the keys {', '.join(map(str, batch))}.")
    target_key = targets if targets is not None else next((key for key in _TARGET_KEYS if key in batch), None)
    return MappingLens(image_key, None if target_key is None else str(target_key))


def _pair_lens(batch: Sequence[Any], images: int | str | None, targets: int | str | None) -> PairLens:
    image_at = int(images) if images is not None else next((i for i, p in enumerate(batch) if _is_images(p)), None)
    if image_at is None:
        raise InputError(
            f"expected images, a tensor of four axes or a list of tensors of three, in the batch; got "
            f"{described(batch)}. Pass images=PLACE."
        )
    if targets is not None:
        return PairLens(image_at, int(targets))
    return PairLens(image_at, image_at + 1 if image_at + 1 < len(batch) else None)


def _is_images(value: Any) -> bool:
    """Return whether it looks like images: four axes, or a list of three; feature vectors and signals count too."""
    if isinstance(value, Tensor):
        return value.ndim >= 2
    return (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(isinstance(part, Tensor) and part.ndim == 3 and part.shape[0] <= 4 for part in value)
    )


def _length(images: Tensor | Sequence[Tensor]) -> int:
    return len(images)


def _stacked(images: Tensor | Sequence[Tensor]) -> Tensor:
    """Return images of a list as one tensor, padded at the right and at the bottom to the largest."""
    if isinstance(images, Tensor):
        return images
    height, width = (max(image.shape[axis] for image in images) for axis in (-2, -1))
    return torch.stack(
        [functional.pad(image, (0, width - image.shape[-1], 0, height - image.shape[-2])) for image in images]
    )


def _in_form_of(former: Any, images: Tensor) -> Any:
    """Return images as a list, each cut to its former size, if they were a list."""
    if isinstance(former, Tensor):
        return images
    cut = [image[:, : old.shape[-2], : old.shape[-1]] for image, old in zip(images, former, strict=True)]
    return _like(former, cut)


def _picked(part: Any, indices: Tensor, length: int) -> Any:
    """Return these rows of everything that has one row for each sample, and all else as it is."""
    if isinstance(part, Tensor):
        return part[indices.to(part.device)] if part.ndim and part.shape[0] == length else part
    if isinstance(part, Mapping):
        return {key: _picked(value, indices, length) for key, value in part.items()}
    if isinstance(part, list | tuple):
        if len(part) == length and not _is_columns(part, length):
            return _like(part, [part[int(index)] for index in indices])
        return _like(part, [_picked(value, indices, length) for value in part])
    return part


def _is_columns(part: Sequence[Any], length: int) -> bool:
    """Return whether a sequence as long as the batch holds columns (labels_a, labels_b) and not one row a sample."""
    return length <= 3 and all(isinstance(value, Tensor) and value.shape == (length,) for value in part)


def _replaced(batch: Sequence[Any], place: int, value: Any) -> Any:
    parts = list(batch)
    parts[place] = value
    return _like(batch, parts)


def _like(former: Any, parts: list[Any]) -> Any:
    if isinstance(former, tuple):
        return type(former)(*parts) if hasattr(former, "_fields") else tuple(parts)
    return parts


def described(value: Any) -> str:
    """Return the form of a value in a few words, for messages."""
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {described(part)}" for key, part in list(value.items())[:6]) + "}"
    if isinstance(value, list | tuple):
        shown = ", ".join(described(part) for part in value[:3])
        return f"a {type(value).__name__} of {len(value)}: ({shown}{', …' if len(value) > 3 else ''})"
    return type(value).__name__
