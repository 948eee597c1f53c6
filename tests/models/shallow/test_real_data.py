"""On real data: what the literature says of these learners holds here, too."""

from pathlib import Path

import numpy as np
import pytest
import torch

import snellen
from snellen.models import find_model
from snellen.structures import ClassTarget, ImageBatch


def digits(file: Path, split: str, number: int, batch_of):
    arrays = np.load(file)
    pixels = torch.from_numpy(arrays[f"{split}_x"][:number])[:, None].expand(-1, 3, -1, -1).contiguous()
    labels = torch.from_numpy(arrays[f"{split}_y"][:number].astype(np.int64))
    sizes = torch.tensor([[28, 28]] * number)
    return batch_of(ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes), labels)


@pytest.fixture
def mnist(shared_data, make_batch):
    file = shared_data / "mnist" / "mnist_subset.npz"
    if not file.is_file():
        pytest.skip("no MNIST here")
    from dataclasses import replace

    def batch_of(images, labels):
        some = make_batch(len(labels), side=4, num_classes=10)
        return replace(some, images=images, targets=ClassTarget(probs=torch.eye(10)[labels]))

    return digits(file, "train", 600, batch_of), digits(file, "test", 200, batch_of)


def right(name, train, test, fit_data):
    model = find_model(name, ClassTarget).build(10)
    model.fit_stage("fit", fit_data(train))
    return float((model(test.images).logits.argmax(dim=1) == test.targets.probs.argmax(dim=1)).float().mean())


def test_tangent_distance_beats_euclidean_on_digits(mnist, fit_data):
    """SYS-279; Simard et al. 1998."""
    euclidean = right("pixels_knn", *mnist, fit_data)
    tangent = right("pixels_tangent_knn", *mnist, fit_data)
    assert euclidean > 0.75
    assert tangent > euclidean + 0.04


def test_gradients_beat_pixels_on_digits(mnist, fit_data):
    assert right("hog_softmax", *mnist, fit_data) > right("pixels_softmax", *mnist, fit_data) + 0.03


@pytest.mark.slow
def test_features_of_a_network_on_photographs(shared_data, tmp_path):
    """Razavian et al. 2014: features from elsewhere and a linear machine."""
    weights = shared_data / "weights" / "mobilenet_v2_imagenet.safetensors"
    folder = shared_data / "hymenoptera"
    if not weights.is_file() or not folder.is_dir():
        pytest.skip("no photographs or no weights here")
    run = snellen.train(
        folder,
        model="mobilenet_v2_features_svm",
        weights=weights,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        padding="same",
        folder=tmp_path / "run",
        check=False,
        workers=0,
    )
    assert run.results["val"].scalars["accuracy"] > 0.85
