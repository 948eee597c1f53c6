"""Features and images of classes that can be told apart, but not all of them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from snellen.models.shallow.examples import Examples
from snellen.structures import Batch, ClassTarget, FitData, ImageBatch


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache that belongs to the test."""
    monkeypatch.setenv("SNELLEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def make_examples() -> Callable[..., Examples]:
    """Gaussians that overlap; features may be made non-negative."""

    def make(num=90, classes=3, width=8, *, seed=0, balanced=False, positive=False) -> Examples:
        generator = np.random.default_rng(seed)
        labels = np.arange(num) % classes
        centres = np.random.default_rng(99).normal(size=(classes, width)) * 1.2
        features = (centres[labels] + generator.normal(size=(num, width))).astype(np.float32)
        return Examples(
            features=np.abs(features) if positive else features,
            labels=labels,
            num_classes=classes,
            seed=0,
            is_balanced=balanced,
        )

    return make


def batch_of(pixels: torch.Tensor, labels: torch.Tensor, num_classes: int) -> Batch:
    sizes = torch.tensor([tuple(pixels.shape[-2:])] * len(pixels))
    return Batch(
        images=ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes),
        targets=ClassTarget(probs=torch.eye(num_classes)[labels]),
        indices=torch.arange(len(pixels)),
    )


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """Dark noise with a bright bar, whose colour and place say the class."""

    def make(num=24, side=32, num_classes=3, *, seed=0, labels=None) -> Batch:
        labels = torch.arange(num) % num_classes if labels is None else torch.tensor(labels)
        pixels = torch.randint(
            0, 80, (len(labels), 3, side, side), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
        )
        for image, label in zip(pixels, labels.tolist(), strict=True):
            start = side * (label % 5) // 6
            image[label % 3, start : start + side // 4, side // 4 : side - side // 4] += 150
        return batch_of(pixels, labels, num_classes)

    return make


@pytest.fixture
def fit_data(tmp_path) -> Callable[..., FitData]:
    """Training images from batches."""

    def make(*batches: Batch, groups=None, seed=0, progress=None) -> FitData:
        return FitData(
            batches=lambda: iter(batches),
            num_images=sum(map(len, batches)),
            folder=tmp_path,
            device=torch.device("cpu"),
            seed=seed,
            progress=progress or (lambda what, done, total: None),
            groups=groups,
        )

    return make
