"""Batches, outputs and losses of every form become one subject."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

import snellen
from snellen.doctor import Level, NotCheckable, Status
from snellen.doctor.examining import subject_of
from snellen.doctor.examining.lenses import lens_of
from snellen.errors import InputError
from snellen.models import find_model
from snellen.structures import Batch, BoxTarget, ClassTarget, MaskTarget, Sample

CE = functional.cross_entropy
IMAGES = torch.arange(4 * 3 * 6 * 6).reshape(4, 3, 6, 6).float()
LABELS = torch.tensor([0, 1, 2, 1])
BOXES = [{"boxes": torch.ones(1, 4) * i, "labels": torch.tensor([i])} for i in range(4)]
TURN = torch.tensor([2, 0, 0])


def snellen_batch(kind: type) -> Batch:
    targets = {
        ClassTarget: lambda i: ClassTarget(probs=torch.eye(3)[i % 3]),
        MaskTarget: lambda i: MaskTarget(labels=torch.full((32, 32), i % 3, dtype=torch.uint8)),
        BoxTarget: lambda i: BoxTarget(
            boxes=torch.tensor([[2.0, 2.0, 20.0 + i, 20.0]]), labels=torch.tensor([i % 3]),
            valid=torch.ones(1, dtype=torch.bool), ignored=torch.zeros(1, dtype=torch.bool),
        ),
    }  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    samples = [
        Sample(image=torch.randint(256, (3, 32, 32), dtype=torch.uint8, generator=generator), target=targets[kind](i),
               index=i, source=str(i), original_size=(32, 32))
        for i in range(4)
    ]  # fmt: skip
    return Batch.collate(samples, stride=32)


@pytest.mark.parametrize(
    "batch",
    [
        (IMAGES, LABELS),
        [IMAGES, LABELS, ["a", "b", "c", "d"]],
        ([*IMAGES], BOXES),
        {"pixel_values": IMAGES, "labels": LABELS, "ids": ["a", "b", "c", "d"]},
        {"picture": IMAGES, "mask": IMAGES[:, 0].long()},
        IMAGES,
    ],
)
def test_lenses_pick_rows_and_change_images(batch) -> None:
    lens = lens_of(batch)
    assert torch.equal(lens.images(batch), IMAGES)
    turned = lens.rows(batch, TURN)
    assert type(turned) is type(batch)
    assert torch.equal(lens.images(turned), IMAGES[TURN])
    other = lens.with_images(batch, IMAGES + 1)
    assert torch.equal(lens.images(other), IMAGES + 1)
    assert torch.equal(lens.images(batch), IMAGES)
    assert lens.targets(other) is lens.targets(batch)


def test_rows_of_targets() -> None:
    assert lens_of((IMAGES, LABELS)).rows((IMAGES, LABELS, "name"), TURN)[1].tolist() == [2, 0, 0]
    _, objects = lens_of(([*IMAGES], BOXES)).rows(([*IMAGES], BOXES), TURN)
    assert [int(each["labels"]) for each in objects] == [2, 0, 0]
    mixed = (IMAGES, {"a": LABELS, "share": 0.3})
    assert lens_of(mixed).rows(mixed, TURN)[1] == {"a": pytest.approx(LABELS[TURN]), "share": 0.3}
    columns = (IMAGES[:2], (LABELS[:2], LABELS[2:]))  # two samples, two columns of labels
    assert [each.tolist() for each in lens_of(columns).rows(columns, torch.tensor([1]))[1]] == [[1], [1]]


def test_images_of_several_sizes_are_padded_and_cut_again() -> None:
    batch = ([torch.ones(3, 4, 6), torch.ones(3, 5, 5)], BOXES[:2])
    lens = lens_of(batch)
    assert lens.images(batch).shape == (2, 3, 5, 6)
    assert lens.images(batch).sum() == 3 * (24 + 25)
    assert [each.shape for each in lens.with_images(batch, lens.images(batch))[0]] == [(3, 4, 6), (3, 5, 5)]


@pytest.mark.parametrize("kind", [ClassTarget, MaskTarget, BoxTarget])
def test_batches_of_snellen(kind) -> None:
    batch = snellen_batch(kind)
    lens = lens_of(batch)
    turned = lens.rows(batch, TURN)
    assert torch.equal(lens.images(turned), batch.images.pixels[TURN])
    assert turned.indices.tolist() == [2, 0, 0]
    assert torch.equal(lens.with_images(batch, batch.images.pixels * 0).images.pixels, batch.images.pixels * 0)


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ("words", "a batch such as"),
        ({"a": LABELS}, "expected images in the batch"),
        ((3, 4), "expected images, a tensor of four axes"),
    ],
)
def test_what_is_no_batch_is_refused(batch, told) -> None:
    with pytest.raises(InputError, match=told):
        lens_of(batch)


class Answering(nn.Module):
    """Gives its logits in some form."""

    def __init__(self, form) -> None:
        super().__init__()
        self.layer = nn.Linear(108, 3)
        self.form = form

    def forward(self, images, labels=None):
        return self.form(self.layer(images.flatten(1) / 1000), labels)


@pytest.mark.parametrize(
    ("form", "loss"),
    [
        (lambda z, _: z, CE),
        (lambda z, _: {"out": z, "aux": z * 2}, CE),
        (lambda z, _: {"out": z}, lambda output, y: CE(output["out"], y)),
        (lambda z, _: (z, z), nn.CrossEntropyLoss()),
        (lambda z, y: SimpleNamespace(logits=z, loss=CE(z, y)), None),
        (lambda z, y: {"classes": CE(z, y) / 2, "more": CE(z, y) / 2}, None),
        (CE, None),
        (lambda z, _: z, lambda z, y: {"a": CE(z, y) / 4, "b": 0.75 * CE(z, y)}),
    ],
)
def test_every_form_gives_the_same_loss(form, loss) -> None:
    torch.manual_seed(0)
    model = Answering(form)
    subject = subject_of(model, (IMAGES, LABELS), loss)
    value = subject.loss(subject.output(model, subject.batch), subject.batch)
    assert value.item() == pytest.approx(CE(model.layer(IMAGES.flatten(1) / 1000), LABELS).item(), rel=1e-5)


def test_forward_of_the_user() -> None:
    model = Answering(lambda z, _: z)
    given = {"volume": IMAGES[:, :, None], "y": LABELS}
    subject = subject_of(model, given, CE, forward=lambda net, batch: net(batch["volume"][:, :, 0]), images="volume")
    assert subject.output(model, given).shape == (4, 3)
    assert subject.task == "classification"


def test_a_model_that_takes_something_else_is_refused() -> None:
    class Two(nn.Module):
        def forward(self, left, right):
            return left + right

    with pytest.raises(InputError, match="forward=lambda model, batch"):
        subject_of(Two(), (IMAGES, LABELS), CE)


def test_an_unreduced_loss_is_refused() -> None:
    with pytest.raises(InputError, match=r"one number.*got a tensor \[4\]"):
        subject_of(Answering(lambda z, _: z), (IMAGES, LABELS), nn.CrossEntropyLoss(reduction="none"))


def test_no_loss_is_told_when_it_is_asked_for() -> None:
    model = Answering(lambda z, _: z)
    subject = subject_of(model, (IMAGES, LABELS))
    assert not subject.has_loss
    with pytest.raises(NotCheckable, match="pass loss="):
        subject.loss(subject.output(model, subject.batch), subject.batch)


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        (LABELS, "classification"),
        (torch.eye(3)[LABELS], "classification"),
        (torch.tensor([[1.0, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]]), "multilabel"),
        (torch.randn(4, 3), "regression"),
    ],
)
def test_tasks(targets, task) -> None:
    loss = CE if task == "classification" else functional.mse_loss
    assert subject_of(Answering(lambda z, _: z), (IMAGES, targets), loss).task == task


@pytest.mark.parametrize(
    ("name", "kind", "task"),
    [
        ("mobilenet_v2", ClassTarget, "classification"),
        ("unet_resnet18", MaskTarget, "segmentation"),
        ("retinanet_mobilenet_v2_fpn", BoxTarget, "detection"),
        ("faster_rcnn_mobilenet_v2_c4", BoxTarget, "detection"),
    ],
)
def test_models_of_snellen(name, kind, task) -> None:
    torch.manual_seed(0)
    model = find_model(name).build(3)
    subject = subject_of(model, snellen_batch(kind))
    assert subject.task == task
    with subject.probed(training=True):
        loss = subject.loss(subject.output(model, subject.batch), subject.batch)
    assert loss.shape == ()
    assert loss.requires_grad
    contracts = ("M1", "M2", "M3", "M4", "M5", "M6", "M8", "M15", "M20", "M24", "M25")
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    found = snellen.examine(model, snellen_batch(kind), None, optimizer, num_classes=3, select=contracts)
    assert [(each.code, each.message) for each in found.all_findings if each.level > Level.INFO] == []
    assert not found.with_status(Status.CRASHED)


def test_probed_keeps_norms_that_are_held_in_evaluation_mode() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2).eval())
    subject = subject_of(model, IMAGES)
    with subject.probed(training=True):
        assert (model.training, model[1].training) == (True, False)
    with subject.probed(training=False):
        assert not model.training
    model.eval()
    with subject.probed(training=True):
        assert model[1].training
    assert not model.training
