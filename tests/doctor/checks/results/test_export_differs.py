"""R8 (DX-055): two forms of a model, and R9 (DX-026): predictions alone and among others."""

import pytest
import torch
from tests.doctor.results import checked, only, run_of, sure
from torch import nn

import snellen
from snellen.doctor import Level, Status
from snellen.doctor.evidence.results.parity import RepeatedPredictions
from snellen.structures import ClassScores


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)).eval()


@pytest.fixture
def batches():
    return list(torch.randn(3, 5, 3, 8, 8, generator=torch.Generator().manual_seed(1)))


def test_an_export_that_is_the_same(net, batches):
    exported = torch.export.export(net, (batches[0],)).module()
    assert snellen.check_parity(net, exported, batches).results[0].status == Status.PASSED


def test_an_export_in_training_mode(net, batches):
    """SYS-361."""
    import copy

    other = copy.deepcopy(net).train()
    (finding,) = snellen.check_parity(net, other, batches).findings
    assert finding.level == Level.ERROR


def test_other_pixels(net, batches):
    (finding,) = snellen.check_parity(net, lambda images: net(images.flip(1)), batches).findings
    assert (finding.level, finding.message) == (Level.ERROR, "answers")


def test_a_little_off_is_a_warning(net, batches):
    diagnosis = snellen.check_parity(net, lambda images: net(images) * 1.002, batches)
    (finding,) = diagnosis.findings
    assert (finding.level, finding.message) == (Level.WARNING, "default")
    assert diagnosis.results[0].check.pages["en"].message(finding).startswith("output differs by 0.00")


def test_other_shapes(net, batches):
    (finding,) = snellen.check_parity(net, lambda images: net(images)[:, :3], batches).findings
    assert (finding.level, finding.message) == (Level.ERROR, "shapes")
    assert finding.numbers["first"] == "(5, 4)"


def test_exports_that_return_tuples_are_compared_in_order(net, batches):
    def named(images):
        return {"scores": net(images), "boxes": images.mean((2, 3))}

    def bare(images):
        return net(images), images.mean((2, 3))

    assert snellen.check_parity(named, bare, batches).results[0].status == Status.PASSED


def test_nothing_given_says_nothing(net):
    assert snellen.check_parity(net, net, []).results[0].status == Status.NOT_CHECKABLE


def repeated(gap, number=10, share=0.5):
    return RepeatedPredictions(
        differences={f"{place}.png": gap if place < share * number else 1e-7 for place in range(number)},
        num_images=number,
    )


RUN = run_of(ClassScores, {"test": [sure(0, 0)] * 3}, record={"settings": {"precision": "fp32"}})


def test_predictions_that_depend_on_the_batch():
    assert only(checked("R9", RUN, repeated(0.01))).level == Level.WARNING
    finding = only(checked("R9", RUN, repeated(0.4)))
    assert (finding.level, finding.num_places) == (Level.ERROR, 5)


def test_the_last_bit_is_no_finding():
    assert checked("R9", RUN, repeated(1e-5)).status == Status.PASSED
    lenient = run_of(ClassScores, {"test": [sure(0, 0)] * 3}, record={"settings": {"precision": "bf16"}})
    assert checked("R9", lenient, repeated(0.01)).status == Status.PASSED


def test_without_new_predictions_nothing_is_compared():
    assert checked("R9", RUN).status == Status.NOT_CHECKABLE
