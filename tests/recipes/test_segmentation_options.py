"""Options of trainings on label maps: cuts about rare classes, and bands around borders (SYS-065)."""

import pytest
import torch

from snellen.errors import ConfigError
from snellen.recipes.loaders import training_loader
from snellen.recipes.options import options_from
from snellen.recipes.preparing import prepare_training
from snellen.structures import IGNORE_LABEL, MaskTarget


def prepared(data, tiny, **options):
    return prepare_training(data, options_from({**tiny, **options}))


def test_band_reaches_the_loss(charts, tiny):
    """Logits of pixels within the band have no gradient, those beyond have one."""
    ready = prepared(charts["masks"], tiny, ignored_band=2)
    assert ready.record["model_options"]["ignored_band"] == 2
    labels = torch.zeros(1, 16, 16, dtype=torch.uint8)
    labels[..., 8:] = 1
    logits = torch.zeros(1, len(ready.index.classes), 16, 16, requires_grad=True)
    ready.model.answer.loss(logits, MaskTarget(labels=labels)).backward()
    touched = logits.grad.abs().sum(1)[0, 0] > 0
    assert touched.tolist() == [True] * 6 + [False] * 4 + [True] * 6


def test_band_is_for_models_of_pixels(charts, tiny):
    with pytest.raises(ConfigError, match="no option 'ignored_band'"):
        prepared(charts["boxes"], tiny, ignored_band=2)


def test_cuts_are_in_the_record_and_in_the_batches(charts, tiny):
    ready = prepared(charts["masks"], tiny, crop=40, balanced_crops=1.0)
    assert ready.record["crop"] == 40
    assert ready.record["balanced_crops"] == 1.0
    loader = training_loader(ready.index, ready.record, ready.model.stride)
    batch = next(iter(loader.epoch(0)))
    assert batch.images.sizes.tolist() == [[40, 40]] * len(batch)
    assert batch.images.pixels.shape[-2:] == (64, 64)  # a multiple of the network's stride
    assert (batch.targets.labels[:, 40:] == IGNORE_LABEL).all()
    again = next(iter(training_loader(ready.index, ready.record, ready.model.stride).epoch(0)))
    assert torch.equal(batch.targets.labels, again.targets.labels)


def test_cuts_are_for_label_maps(charts, tiny):
    with pytest.raises(ConfigError, match="crop keeps MaskTarget"):
        prepared(charts["boxes"], tiny, crop=40)
    with pytest.raises(ConfigError, match="Add crop=N"):
        prepared(charts["masks"], tiny, balanced_crops=0.5, augment=0.0)
