"""Batches for training and for measuring, as a run's record says."""

from collections.abc import Mapping
from typing import Any

from snellen.data import BatchLoader, DatasetIndex, ImageDataset, MultiScale, evaluation_transform
from snellen.imaging import Enhancement
from snellen.recipes.augmenting import training_change
from snellen.recipes.proposing import region_source
from snellen.recipes.sampling import training_sampler

__all__ = ["evaluation_loader", "recorded_enhancement", "training_loader"]


def recorded_enhancement(record: Mapping[str, Any]) -> Enhancement | None:
    """Return what a run does to every image as soon as it is read, in training and in use; None for nothing."""
    told = record.get("enhance")
    return Enhancement.read(told) if told else None


def training_loader(index: DatasetIndex, record: Mapping[str, Any], stride: int) -> BatchLoader:
    """Return the augmented batches of the training split."""
    part = index.split("train")
    raw = ImageDataset(
        part,
        masks=record["masks"] or bool(record["copy_paste"]),
        regions=region_source(record, index.root),
        enhancement=recorded_enhancement(record),
    )
    dataset = ImageDataset(
        part, training_change(index, raw, record), masks=raw.masks, regions=raw.regions, enhancement=raw.enhancement
    )
    sampler = training_sampler(part, record.get("sampler", "shuffled"))
    factors = record["multi_scale"]
    return BatchLoader(
        dataset=dataset,
        batch_size=record["batch_size"],
        stride=stride,
        sampler=sampler,
        seed=record["settings"]["seed"],
        workers=record["workers"],
        drop_last=len(sampler) > record["batch_size"],  # a last batch of one image starves batch norm
        multi_scale=None if factors is None else MultiScale(factors=(factors[0], factors[1])),
    )


def evaluation_loader(index: DatasetIndex, record: Mapping[str, Any], stride: int) -> BatchLoader:
    """Return batches of an index as they are measured: resized, nothing random."""
    change = evaluation_transform(index.target_type, record["image_size"], resize=record["resize"])
    dataset = ImageDataset(
        index,
        change,
        masks=record["masks"],
        regions=region_source(record, index.root),
        enhancement=recorded_enhancement(record),
    )
    return BatchLoader(
        dataset=dataset, batch_size=record["batch_size"], stride=stride, seed=0, workers=record["workers"]
    )
