"""The fitting stages of R-CNN and SPPNet: features to disk, machines from them, box regression from them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from snellen.errors import InputError
from snellen.models.detection.feature_cache import FeatureCache, ImageFeatures, content_of
from snellen.models.detection.fitted_head import FittedHead, FittingSettings, box_examples, svm_examples
from snellen.models.detection.fitting import BoxExamples, RegionExamples, fit_linear_svms, fit_ridge_boxes
from snellen.structures import Batch, BoxTarget, Fact, FitData, ImageBatch, Regions

__all__ = ["Describe", "fit_box_regression", "fit_machines", "write_features"]

# Images and targets of a batch, and the places in it that are wanted, to place and features of each.
Describe = Callable[[ImageBatch, BoxTarget, Sequence[int]], Iterator[tuple[int, ImageFeatures]]]


def write_features(cache: FeatureCache, data: FitData, describe: Describe) -> dict[str, Fact]:
    """Write the features of all training images; what is there already is not made again.

    Args:
        cache: Open.
        data: The training images.
        describe: Makes the features of the images of a batch that are wanted.

    Raises:
        TrainingError: If features are not finite.
        InputError: If the images came without regions or without boxes.
    """
    images: list[int] = []
    kept = num_regions = 0
    for batch in data.batches():
        regions, targets = _parts(batch)
        indices = [int(index) for index in batch.indices]
        contents = [_content(batch.images, regions, targets, place) for place in range(len(indices))]
        missing = [place for place, index in enumerate(indices) if not cache.has(index, contents[place])]
        if missing:
            for place, features in describe(batch.images, targets, missing):
                cache.write(indices[place], features, contents[place])
        kept += len(indices) - len(missing)
        num_regions += int(regions.valid.sum())
        images += indices
        data.progress("features", len(images), data.num_images)
    cache.complete(images)
    size = cache.num_bytes(images)
    return {
        "images": len(images),
        "images that were there already": kept,
        "regions": num_regions,
        "features on disk (bytes)": size,
        "features of an image (bytes)": round(size / max(1, len(images))),
    }


def _parts(batch: Batch) -> tuple[Regions, BoxTarget]:
    if batch.images.regions is None or not isinstance(batch.targets, BoxTarget):
        raise InputError(
            "fitting expects batches with boxes as targets and with ImageBatch.regions; got "
            f"{type(batch.targets).__name__} and {'no ' if batch.images.regions is None else ''}regions. Give the data "
            "set proposals."
        )
    return batch.images.regions, batch.targets


def _content(images: ImageBatch, regions: Regions, targets: BoxTarget, place: int) -> int:
    height, width = (int(side) for side in images.sizes[place])
    rows, target = regions[place], targets[place]
    wanted = target.valid
    parts = (target.boxes[wanted], target.labels[wanted], target.ignored[wanted])
    return content_of([images.pixels[place, :, :height, :width], rows.boxes[rows.valid], *parts])


@dataclass(frozen=True, slots=True)
class _Svm:
    """The images as the machines see them, as often as they are asked for."""

    cache: FeatureCache
    images: Sequence[int]
    num_classes: int
    settings: FittingSettings

    def __iter__(self) -> Iterator[RegionExamples]:
        for index in self.images:
            yield svm_examples(self.cache.read(index, without=("pooled",)), self.num_classes, self.settings)


@dataclass(frozen=True, slots=True)
class _Boxes:
    """The images as the box regression sees them, as often as they are asked for."""

    cache: FeatureCache
    images: Sequence[int]

    def __iter__(self) -> Iterator[BoxExamples]:
        for index in self.images:
            yield box_examples(self.cache.read(index, without=("deep",)))


def fit_machines(head: FittedHead, cache: FeatureCache, data: FitData) -> dict[str, Fact]:
    """Fit one machine for each class and put them into ``head``."""
    images = cache.images() or []
    result = fit_linear_svms(
        _Svm(cache, images, head.num_classes, head.fitting),
        head.num_classes,
        head.fitting.mining,
        seed=data.seed,
        progress=lambda what, done: data.progress(what, done, len(images)),
    )
    last = {page.label: page for page in result.rounds}
    objects = [last[label].positives for label in range(head.num_classes)]
    head.svms.load_state_dict(result.svms.state_dict())
    head.has_examples.copy_(torch.tensor(objects) > 0)
    lacking = [str(label) for label, count in enumerate(objects) if count == 0]
    return {
        "objects": sum(objects),
        "hard negatives": sum(page.negatives - page.evicted for page in last.values()),
        "negatives that were taken for objects": sum(page.false_positives for page in result.rounds),
        "retrainings": len(result.rounds),
        "retrainings that did not converge": sum(not page.is_converged for page in result.rounds),
        "classes without an example, which are never found": ", ".join(lacking) or "none",
    }


def fit_box_regression(head: FittedHead, cache: FeatureCache, data: FitData) -> dict[str, Fact]:
    """Fit one regression of boxes for each class and put them into ``head``."""
    images = cache.images() or []
    examples = _Boxes(cache, images)
    result = fit_ridge_boxes(
        examples,
        head.num_classes,
        head.fitting.ridge,
        device=data.device,
        progress=lambda what, done: data.progress(what, done, len(images)),
    )
    head.ridge.load_state_dict(result.state_dict())
    silent = [str(label) for label in range(head.num_classes) if not bool(result.weight[label].any())]
    return {
        "classes without a region near an object, whose boxes stay as proposed": ", ".join(silent) or "none",
    }
