"""What the doctor is told of the loop of a planned training: its batches, and what it does to images and labels."""

from collections.abc import Iterator
from dataclasses import dataclass

from snellen.data import BatchLoader, ImageDataset
from snellen.doctor.evidence.loop_parts import LabelTransform, UserLoader, label_transform
from snellen.errors import ConfigError
from snellen.recipes.loaders import training_loader
from snellen.recipes.preparing import Preparation
from snellen.structures import Batch

__all__ = ["batches_of", "transform_of"]


@dataclass(frozen=True)
class _Batches:
    """The first epoch, as often as it is asked for."""

    loader: BatchLoader

    def __iter__(self) -> Iterator[Batch]:
        return self.loader.epoch(0)


def batches_of(ready: Preparation) -> UserLoader:
    """Return the batches of a training, read in this process."""
    return UserLoader(
        batches=_Batches(training_loader(ready.index, {**ready.record, "workers": 0}, ready.model.stride))
    )


def transform_of(ready: Preparation) -> LabelTransform:
    """Return augmentation and resizing of single images; what mixes several images is left out."""
    alone = {**ready.record, "mosaic": 0.0, "mixup": 0.0, "copy_paste": 0.0, "cutmix": 0.0}
    dataset = training_loader(ready.index, alone, ready.model.stride).dataset
    if not isinstance(dataset, ImageDataset) or dataset.transform is None:
        raise ConfigError(f"expected training images with a transform; got {type(dataset).__name__}.")
    return label_transform(dataset.transform, ready.index.target_type)
