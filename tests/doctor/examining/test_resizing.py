"""Models that enlarge images by themselves do so less inside a probe, and as they did afterwards."""

import torch
from torch import nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from snellen.doctor.examining import subject_of


class Resizing(nn.Module):
    """A detector as torchvision's are: a part of it resizes images and targets."""

    def __init__(self, shorter, longer) -> None:
        super().__init__()
        self.transform = GeneralizedRCNNTransform(shorter, longer, [0.5] * 3, [0.2] * 3)
        self.conv = nn.Conv2d(3, 1, 1)
        self.seen: list[tuple[tuple[int, ...], list[float]]] = []

    def forward(self, images, targets=None):
        resized, targets = self.transform(images, targets)
        if targets is not None:
            self.seen.append((tuple(resized.image_sizes[0]), targets[0]["boxes"][0].tolist()))
        return {"loss": self.conv(resized.tensors).square().mean()}


def seen_in(model: Resizing, *, may_resize: bool) -> tuple[tuple[int, ...], list[float]]:
    batch = ([torch.rand(3, 100, 150)], [{"boxes": torch.tensor([[10.0, 20.0, 30.0, 40.0]]), "labels": torch.ones(1)}])
    subject = subject_of(model, batch)
    with subject.probed(training=True, may_resize=may_resize):
        subject.output(model, batch)
        return model.seen[-1]


def test_images_and_boxes_become_smaller() -> None:
    model = Resizing(800, 1333)
    size, box = seen_in(model, may_resize=True)
    assert size == (400, 600)
    assert box == [40.0, 80.0, 120.0, 160.0]
    assert (model.transform.min_size, model.transform.max_size) == ((800,), 1333)


def test_the_longer_side_shrinks_by_as_much() -> None:
    model = Resizing((640, 800), 1000)
    with subject_of(model, torch.rand(1, 3, 8, 8), lambda output, _: output["loss"]).probed(
        training=True, may_resize=True
    ):
        assert (model.transform.min_size, model.transform.max_size) == ((320, 400), 500)


def test_small_images_and_measurements_of_sizes_are_left_alone() -> None:
    assert seen_in(Resizing(320, 640), may_resize=True)[0] == (320, 480)
    assert seen_in(Resizing(800, 1333), may_resize=False)[0] == (800, 1200)
