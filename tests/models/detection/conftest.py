"""Small batches for small detectors."""

import pytest
import torch

from snellen.structures import Batch, BoxTarget, Sample


def make_target(boxes, labels, ignored=None):
    count = len(labels)
    return BoxTarget(
        boxes=torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.as_tensor(labels, dtype=torch.int64),
        valid=torch.ones(count, dtype=torch.bool),
        ignored=torch.zeros(count, dtype=torch.bool) if ignored is None else torch.as_tensor(ignored),
    )


def make_batch(counts=(2, 3), sizes=None, num_classes=3, seed=0, stride=32):
    """Images of noise with ``counts`` random objects each."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for row, (count, (height, width)) in enumerate(zip(counts, sizes or [(96, 96)] * len(counts), strict=True)):
        edges = torch.tensor([float(width), float(height)])
        low = torch.rand(count, 2, generator=generator) * edges * 0.6
        high = torch.minimum(low + torch.rand(count, 2, generator=generator) * edges * 0.4 + 12, edges)
        labels = torch.randint(0, num_classes, (count,), generator=generator)
        samples.append(
            Sample(
                image=torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator),
                target=make_target(torch.cat([low, high], dim=1), labels),
                index=row,
                source="",
                original_size=(height * 2, width * 2),
            )
        )
    return Batch.collate(samples, stride=stride)


@pytest.fixture(scope="session")
def target_of():
    """Return a function from boxes, labels and flags to a target of one image."""
    return make_target


@pytest.fixture(scope="session")
def batch_of():
    """Return a function that makes a batch of noise with objects."""
    return make_batch


@pytest.fixture(scope="session")
def in_float64():
    """Return a function that gives a record with its floating-point fields in float64."""

    def convert(record):
        return record.map(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)

    return convert
