"""Samples from an index: the file decoded, its target, and the transform of this draw."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from snellen.data.images import image_size, read_image
from snellen.data.index import DatasetIndex
from snellen.data.tables import BoxTable
from snellen.errors import ConfigError
from snellen.structures import Sample, Target

if TYPE_CHECKING:  # torchvision takes seconds and 150 MB to import
    from snellen.data.transforms.transform import Transform
    from snellen.imaging import Enhancement

__all__ = ["ImageDataset", "RegionSource", "draw_generator"]

RegionSource = Callable[[Path, Tensor], Tensor]  # file and image [3, height, width] -> boxes in its pixels [n, 4]


def draw_generator(seed: int, epoch: int, index: int) -> torch.Generator:
    """Return the source of chance of one draw: a function of these three numbers and of nothing else."""
    words = np.random.SeedSequence((seed, epoch, index)).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 32 | int(words[1]))


class ImageDataset:
    """The images of an index as samples; it can be picked from in any order, by any process.

    Args:
        index: Images and annotations.
        transform: Applied to every sample that is drawn; None leaves samples as they are in the files.
        masks: Whether outlines of objects become masks. Drawing and moving them costs more than reading the
            image, and a detector of boxes has no use for them.
        regions: Where proposals from outside come from, for models that want them; they see images as they are in the
            files, whatever is enhanced.
        enhancement: Operations on every image as soon as it is read, the same in training and in use.

    Raises:
        ConfigError: If an operation moves pixels, after which annotations would not be right.
    """

    def __init__(
        self,
        index: DatasetIndex,
        transform: "Transform | None" = None,
        *,
        masks: bool = False,
        regions: RegionSource | None = None,
        enhancement: "Enhancement | None" = None,
    ) -> None:
        if enhancement is not None and enhancement.moving:
            raise ConfigError(
                f"the operation {enhancement.moving[0]!r} moves pixels away from their annotations. Leave it out here."
            )
        self.index = index if masks else _without_outlines(index)
        self.transform = transform
        self.masks = masks
        self.regions = regions
        self.enhancement = enhancement

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in label order."""
        return self.index.classes

    @property
    def target_type(self) -> type[Target]:
        """What kind of target its samples carry."""
        return self.index.target_type

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: int) -> Sample:
        """Return one sample, always the same: the draw of epoch 0 with seed 0."""
        return self.draw(index, 0, 0)

    def draw(self, index: int, epoch: int, seed: int) -> Sample:
        """Return one sample with the chance of ``(seed, epoch, index)``.

        Raises:
            DatasetError: If the image or its mask cannot be read.
        """
        sample = self.untransformed(index)
        if self.transform is None:
            return sample
        return self.transform(sample, draw_generator(seed, epoch, index))

    def untransformed(self, index: int) -> Sample:
        """Return one sample as it is in its file, enhanced and not augmented."""
        path = self.index.path(index)
        image = read_image(path)
        size = (image.shape[-2], image.shape[-1])
        return Sample(
            image=image if self.enhancement is None else self.enhancement(image),
            target=self.index.target(index, size),
            index=index,
            source=str(path),
            original_size=size,
            regions=None if self.regions is None else self.regions(path, image),
        )

    def truth(self, index: int) -> Target:
        """Return the target in the pixels of the file; the image is not decoded."""
        size = self.index.size(index) or image_size(self.index.path(index))
        return self.index.target(index, size)


def _without_outlines(index: DatasetIndex) -> DatasetIndex:
    table = index.annotations
    if not isinstance(table, BoxTable) or table.segments is None:
        return index
    return replace(index, annotations=replace(table, segments=None))
