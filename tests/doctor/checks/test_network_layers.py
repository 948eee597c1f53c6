"""How layers are put together (M21, M28, M30, M31, M32, M42, M43; DX-054, DX-055, DX-105, DX-106, DX-108..113)."""

from dataclasses import replace

import pytest
import torch
from tests.doctor.zoo.sick import Decoder, flattening
from torch import nn
from torch.nn import functional

from snellen.doctor import Evidence, Level, Status, diagnose, find_check
from snellen.doctor.checks.setup.checkerboard import overlaps
from snellen.doctor.evidence.network.memory import ActivationMemory, LayerBytes
from snellen.doctor.evidence.setup import Setup

CE = functional.cross_entropy


@pytest.fixture
def mapped():
    """Eight images with class maps of four classes."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 3, 12, 12, generator=generator), torch.randint(3, (8, 12, 12), generator=generator)


def said(result) -> list[str]:
    return [result.check.pages["en"].message(finding) for finding in result.findings]


# M28 batch-norm-with-tiny-batch


@pytest.mark.parametrize(("images", "told"), [(2, "WARNING default"), (4, "WARNING default"), (6, "INFO default")])
def test_batch_norm_over_few_images(small_net, labelled, checked, messages, images, told) -> None:
    """DX-054."""
    batch = (labelled[0][:images], labelled[1][:images])
    result = checked("M28", small_net(), batch, CE)
    assert messages(result) == [told]
    assert said(result) == [f"1 batch norms take their statistics from {images} images."]


@pytest.mark.parametrize(("images", "told"), [(2, ["WARNING default"]), (4, ["INFO default"]), (6, [])])
def test_images_with_many_answers(mapped, checked, messages, images, told) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 1))
    assert messages(checked("M28", model, tuple(part[:images] for part in mapped), CE)) == told


def test_norms_that_do_not_look_at_the_batch(small_net, labelled, checked) -> None:
    """SYS-358: norms that are held, or look at each image alone, suit small batches."""
    batch = (labelled[0][:2], labelled[1][:2])
    held = small_net()
    held.norm.eval()
    grouped = small_net()
    grouped.norm = nn.GroupNorm(2, 8)
    for model in (held, grouped):
        assert checked("M28", model, batch, CE).status == Status.PASSED


def test_many_images(small_net, checked, messages) -> None:
    images = torch.randn(12, 3, 12, 12)
    assert checked("M28", small_net(), (images, torch.arange(12) % 3), CE).status == Status.PASSED


def test_the_planned_batch_counts(small_net, labelled, checked) -> None:
    from snellen.doctor.evidence.network.batch_norms import BatchNorms, NormUse

    norms = BatchNorms(
        live=(NormUse(layer="norm", samples=2, values=200),),
        untouched=(),
        untouched_in_use=False,
        num_norms=1,
        num_samples=2,
    )
    for planned, level in ((32, None), (2, Level.WARNING)):
        found = diagnose(Evidence([norms, Setup(batch_size=planned)]), [find_check("M28")])
        assert found.worst == level
    pooled = replace(norms, live=(NormUse(layer="pooled", samples=2, values=2),))
    assert diagnose(Evidence([pooled, Setup(batch_size=32)]), [find_check("M28")]).worst is None


def test_norm_over_one_value_for_each_region(checked, messages) -> None:
    class Grouped(nn.Module):
        """Normalises groups of four images by themselves."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm1d(8), nn.Linear(8, 3)

        def forward(self, x):
            x = self.conv(x).mean((2, 3))
            return self.head(torch.cat([self.norm(part) for part in x.split(4)]).relu())

    images = torch.randn(12, 3, 12, 12)
    assert messages(checked("M28", Grouped(), (images, torch.arange(12) % 3), CE)) == ["WARNING few_values"]


def test_statistics_that_were_not_loaded(small_net, checked, messages) -> None:
    """DX-055."""
    batch = (torch.randn(12, 3, 12, 12), torch.arange(12) % 3)
    model = small_net()
    with torch.no_grad():
        model.norm.weight.uniform_(0.5, 1.5)
        model.norm.bias.uniform_(-1, 1)
    assert checked("M28", model, batch, CE).status == Status.PASSED, "recipes that draw the scales are no fault"
    with torch.no_grad():
        model.conv.weight += 0.5  # what was learned is not independent
    result = checked("M28", model, batch, CE)
    assert messages(result) == ["WARNING untouched"]
    model.norm.eval()
    assert messages(checked("M28", model, batch, CE)) == ["ERROR untouched"]
    model.norm.running_mean.normal_()
    assert checked("M28", model, batch, CE).status == Status.PASSED


# M30 checkerboard


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 2, 1), (4, 2, 1), (5, 3, 1), (2, 3, 1), (3, 2, 2), (1, 1, 1)]
)
def test_overlaps_are_those_of_torch(kernel, stride, dilation) -> None:
    """A transposed convolution of ones counts the taps itself."""
    ones = torch.ones(1, 1, 40)
    counts = functional.conv_transpose1d(ones, torch.ones(1, 1, kernel), stride=stride, dilation=dilation)[0, 0]
    inner = counts[15 * stride : 16 * stride].int().tolist()
    assert sorted(inner) == sorted(overlaps(kernel, stride, dilation))


@pytest.mark.parametrize(
    ("kernel", "stride", "behind", "told"),
    [(4, 2, 0, []), (2, 2, 0, []), (3, 2, 0, ["WARNING default"]), (3, 2, 3, ["INFO default"]),
     (2, 3, 3, ["WARNING gaps"])],
)  # fmt: skip
def test_checkerboard(mapped, checked, messages, kernel, stride, behind, told) -> None:
    """DX-105."""
    assert messages(checked("M30", Decoder(kernel, stride, behind), mapped, CE)) == told


def test_checkerboard_says_how_often(mapped, checked) -> None:
    assert said(checked("M30", Decoder(3, 2), mapped, CE)) == [
        "up (conv_transpose2d) has a kernel of 3 and a stride of 2: neighbouring pixels are reached by 1 and by 2 taps "
        "along an axis (1 such layers)."
    ]


# M31 huge-first-dense-layer, M42 fixed-input-size


def test_huge_dense_layer(labelled, checked, messages) -> None:
    """DX-112."""
    result = checked("M31", flattening(), labelled, CE)
    assert messages(result) == ["WARNING default"]
    assert said(result) == [
        "3 (linear) reads 36864 numbers (144 cells) and holds 18.9 million parameters, 100 % of the model."
    ]
    assert messages(checked("M31", flattening(width=64), labelled, CE)) == ["INFO default"]


def test_dense_layers_that_are_not_judged(labelled, checked) -> None:
    for model in (
        nn.Sequential(nn.Flatten(), nn.Linear(432, 4096), nn.ReLU(), nn.Linear(4096, 3)),
        nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 20_000),
                      nn.ReLU(), nn.Linear(20_000, 3)),
    ):  # fmt: skip
        assert checked("M31", model, labelled, CE).status == Status.PASSED


def test_fixed_size(labelled, checked, messages, small_net) -> None:
    """DX-113."""
    result = checked("M42", flattening(width=8), labelled, CE)
    assert messages(result) == ["INFO dense"]
    assert said(result) == [
        "The model takes 12 × 12 and fails at 24 × 24: the linear layer 3 reads a flattened map of fixed size."
    ]
    assert checked("M42", small_net(), labelled, CE).status == Status.PASSED
    assert checked("M42", nn.Linear(6, 3), (torch.randn(8, 6), labelled[1]), CE).status == Status.NOT_CHECKABLE


# M32 resize-misaligned


class Resizing(nn.Module):
    """Down and up again by interpolation."""

    def __init__(self, aligned=(False, False), smaller=None) -> None:
        super().__init__()
        self.conv, self.head, self.aligned, self.smaller = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Conv2d(8, 3, 1),
            aligned,
            smaller,
        )

    def forward(self, images):
        size = images.shape[-2:]
        if self.smaller is not None:
            images = functional.interpolate(images, size=(6, 6), mode=self.smaller)
        x = self.conv(images).relu()
        x = functional.interpolate(x, size=(4, 4), mode="bilinear", align_corners=self.aligned[0])
        return functional.interpolate(self.head(x), size=size, mode="bilinear", align_corners=self.aligned[1])


def test_mixed_corners_are_told(mapped, checked, messages) -> None:
    """DX-106."""
    result = checked("M32", Resizing((True, False)), mapped, CE)
    assert messages(result) == ["INFO mixed"]
    assert said(result) == [
        "1 interpolations align the corners and 1 do not, such as interpolate: borders are shifted against each other."
    ]
    assert checked("M32", Resizing((True, True)), mapped, CE).status == Status.PASSED


def test_images_are_not_subsampled(mapped, checked, messages) -> None:
    assert messages(checked("M32", Resizing(smaller="nearest"), mapped, CE)) == ["WARNING image_nearest"]
    assert checked("M32", Resizing(smaller="bilinear"), mapped, CE).status == Status.PASSED


@pytest.mark.parametrize(("mode", "told"), [("bilinear", ["WARNING mask_blended"]), ("nearest", [])])
def test_class_maps_are_not_blended(mapped, checked, messages, mode, told) -> None:
    def loss(output, masks):
        small = functional.interpolate(masks[:, None].float(), size=(6, 6), mode=mode)[:, 0].long()
        return CE(functional.avg_pool2d(output, 2), small)

    assert messages(checked("M32", Resizing(), mapped, loss)) == told


def test_soft_maps_may_be_blended(mapped, checked) -> None:
    def loss(output, masks):
        small = functional.interpolate((masks[:, None] == 1).float(), size=(6, 6), mode="bilinear")
        return functional.binary_cross_entropy_with_logits(functional.avg_pool2d(output, 2)[:, :1], small)

    assert checked("M32", Resizing(), mapped, loss).status == Status.PASSED


# M43 excessive-memory


def test_memory(small_net, labelled, checked) -> None:
    """DX-109, DX-110."""
    assert checked("M43", small_net(), labelled, CE).status == Status.PASSED
    memory = ActivationMemory(
        per_image=2.0 * 2**30, concatenated=1.5 * 2**30, parameters=2**28, num_images=2,
        largest=(LayerBytes(layer="features.norm5", per_image=2.0**29),), device="cuda", device_bytes=24 * 2**30,
    )  # fmt: skip
    assert diagnose(Evidence([memory]), [find_check("M43")]).worst is None
    (finding,) = diagnose(Evidence([memory, Setup(batch_size=16)]), [find_check("M43")]).findings
    assert finding.level == Level.INFO
    assert find_check("M43").pages["en"].message(finding) == (
        "A step with 16 images takes up to 33.0 GiB, and the device (cuda) has 24.0 GiB; 75 % are copies for "
        "concatenations, most is at features.norm5."
    )


# M21 static-hygiene


def test_habits_are_notes(labelled, checked, messages) -> None:
    class Habits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
            self.even, self.drop = nn.Conv2d(8, 8, 2), nn.Dropout(0.5)
            self.second, self.spare, self.head = nn.BatchNorm2d(8), nn.Linear(8, 4), nn.Linear(8, 3)

        def forward(self, images):
            x = self.norm(self.conv(images)).relu()
            x = self.second(self.drop(self.even(x))).relu().mean((2, 3))
            self.spare(x)
            return self.head(x)

    result = checked("M21", Habits(), labelled, CE)
    assert messages(result) == ["INFO bias", "INFO even", "INFO dropout", "INFO dangling"]
    assert said(result)[0] == (
        "1 layers have a bias before a batch norm, such as conv (conv2d): harmless, and without effect."
    )
    assert [finding.places[0].name.split()[0] for finding in result.findings] == ["conv", "even", "drop", "spare"]


def test_good_habits(labelled, checked) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(72, 3)
    )
    assert checked("M21", model, labelled, CE).status == Status.PASSED
