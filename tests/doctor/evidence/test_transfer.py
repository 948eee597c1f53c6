"""How well given features fit: probes by stage, shifts of norms, and the four cases (DX-082 to DX-085, SYS-193)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from snellen.data import ClassTable, DatasetIndex
from snellen.data.sharing import Strings
from snellen.doctor import Evidence, Level, NotCheckable, Setup, Status, diagnose, find_check
from snellen.doctor.evidence.embeddings import PretrainedBackbone
from snellen.doctor.evidence.transfer import StageFit, Transfer, examples_of_classes, quadrant, transfer_of
from snellen.models.backbones.backbone import Backbone
from snellen.nn import FrozenBatchNorm
from snellen.structures import FeatureSpec


class TwoStages(Backbone):
    """The first stage sees colours; the second is blind, unless told otherwise."""

    def __init__(self, *, blind: bool, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm(3)
        self.second = nn.Conv2d(3, 4, 1)
        if blind:
            nn.init.zeros_(self.second.weight)
        self.features = (FeatureSpec(name="c1", channels=3, stride=1), FeatureSpec(name="c2", channels=4, stride=1))

    def forward(self, x):
        first = self.norm(x)
        return {"c1": first, "c2": self.second(first)}

    def stage_modules(self):
        return {"c1": (self.norm,), "c2": (self.second,)}


def backbone(**options) -> PretrainedBackbone:
    torch.manual_seed(0)
    network = TwoStages(**options).eval()
    return PretrainedBackbone(name="two", network=network, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def colours(tmp_path_factory) -> DatasetIndex:
    """Red and green squares, half of them for training, and classes that colour tells."""
    root = tmp_path_factory.mktemp("colours")
    chance = np.random.default_rng(0)
    labels = np.arange(48) % 2
    for row, label in enumerate(labels):
        pixels = chance.integers(0, 60, (12, 12, 3), dtype=np.uint8)
        pixels[..., label] += 120
        Image.fromarray(pixels).save(root / f"{row}.png")
    return DatasetIndex(
        root=root, format="folders", classes=("red", "green"), paths=Strings.pack([f"{row}.png" for row in range(48)]),
        annotations=ClassTable(labels=labels.astype(np.int32)), sizes=np.full((48, 2), 12, np.int32),
        splits=(np.arange(48) // 24).astype(np.int16), split_names=("train", "val"),
    )  # fmt: skip


def test_a_probe_sees_what_each_stage_shows(colours):
    """SYS-107: linear probes tell which stage shows what."""
    found = transfer_of(colours, backbone(blind=True), side=12)
    assert [stage.name for stage in found.stages] == ["c1", "c2"]
    assert found.stages[0].skill == pytest.approx(1.0)
    assert abs(found.skill) < 0.3
    assert found.best.name == "c1"
    assert (found.usual, found.total, found.num_images) == (12, 24, 24)
    assert found.quadrant == "few_different"
    assert transfer_of(colours, backbone(blind=False), side=12).quadrant == "few_similar"


def test_labels_at_random_give_no_skill(colours):
    from dataclasses import replace

    chance = np.random.default_rng(1)
    mixed = replace(colours, annotations=ClassTable(labels=chance.permutation(48).astype(np.int32) % 2))
    assert abs(transfer_of(mixed, backbone(blind=False), side=12).skill) < 0.6


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, FrozenBatchNorm])
def test_the_shift_is_that_of_the_means_a_norm_sees(colours, norm):
    one = backbone(blind=False, norm=norm)
    one.network.norm.running_mean.copy_(torch.tensor([0.2, -0.3, 0.1]))
    one.network.norm.running_var.copy_(torch.tensor([4.0, 0.25, 1.0]))
    found = transfer_of(colours, one, side=12)
    pixels = np.stack([np.asarray(Image.open(colours.path(row))) for row in range(24)]) / 255
    seen = ((pixels - 0.5) / 0.5).mean((0, 1, 2))
    apart = np.abs(seen - [0.2, -0.3, 0.1]) / np.sqrt(np.array([4.0, 0.25, 1.0]) + 1e-5)
    assert found.stages[0].shift == pytest.approx(np.median(apart), rel=1e-4)
    assert found.stages[1].shift is None
    assert found.shift == found.stages[0].shift


def test_measuring_changes_nothing_and_is_repeatable(colours):
    one = backbone(blind=False)
    before = {name: value.clone() for name, value in one.network.state_dict().items()}
    assert transfer_of(colours, one, side=12) == transfer_of(colours, one, side=12)
    assert all(torch.equal(value, before[name]) for name, value in one.network.state_dict().items())
    assert not one.network.norm._forward_pre_hooks


def test_too_few_images_are_not_judged(colours):
    with pytest.raises(NotCheckable, match="at least 10 training images"):
        transfer_of(colours.select(np.arange(6)), backbone(blind=False))


def test_only_the_training_images_count(colours):
    assert examples_of_classes(colours) == (12, 24)
    assert examples_of_classes(colours.select(np.zeros(0, np.int64))) == (0, 0)


@pytest.mark.parametrize(
    ("usual", "skill", "early", "expected"),
    [
        (99, 0.5, False, "few_similar"),
        (99, 0.49, False, "few_different"),
        (99, 0.9, True, "few_different"),
        (100, 0.5, False, "many_similar"),
        (100, 0.1, False, "many_different"),
    ],
)
def test_size_times_likeness(usual, skill, early, expected):
    assert quadrant(usual, skill, peaks_early=early) == expected


def transfer(usual: int, last: float) -> Transfer:
    stages = (StageFit(name="c1", skill=0.4, shift=0.1), StageFit(name="c2", skill=last, shift=None))
    return Transfer(usual=usual, total=2 * usual, num_images=30, error=0.02, stages=stages, origin="resnet18")


@pytest.mark.parametrize(
    ("usual", "last", "message"),
    [(20, 0.9, "few_similar"), (20, 0.1, "few_different"), (200, 0.9, None), (200, 0.1, None)],
)
def test_the_check_tells_the_plan_of_few_examples(colours, usual, last, message):
    """D29 judges the very facts that the plan of a training rests on."""
    given = Evidence([colours, Setup(pretrained=True), transfer(usual, last)])
    result = diagnose(given, [find_check("D29")]).results[0]
    assert ([(finding.message, finding.level) for finding in result.findings] or [None]) == [
        None if message is None else (message, Level.INFO)
    ]
    for finding in result.findings:
        for page in result.check.pages.values():
            assert "resnet18" in page.message(finding)
            assert page.fix_of(finding)


def test_what_is_uncertain_is_not_called_different():
    """With ten images a skill of 0.2 may as well be 0.8."""
    stages = (StageFit(name="c1", skill=0.1, shift=None), StageFit(name="c2", skill=0.2, shift=None))
    for error, expected in ((0.3, "few_similar"), (0.1, "few_different")):
        found = Transfer(usual=5, total=10, num_images=10, error=error, stages=stages, origin="two")
        assert found.quadrant == expected


def test_the_check_says_nothing_of_features_that_nobody_measured(colours):
    result = diagnose(Evidence([colours, Setup(pretrained=True)]), [find_check("D29")]).results[0]
    assert result.status == Status.PASSED


def test_hymenoptera_is_like_imagenet():
    """On real data: ants and bees are told by features of ImageNet, and better the later the stage."""
    import os

    root = Path(os.environ.get("SNELLEN_DATA", "/nowhere"))
    if not (root / "hymenoptera").is_dir():
        pytest.skip("no real data")
    from snellen.doctor.evidence.embeddings import pretrained_backbone
    from snellen.recipes.datasets import load

    weights = root / "weights" / "mobilenet_v2_imagenet.safetensors"
    network = pretrained_backbone("mobilenet_v2", weights, mean=(0.5,) * 3, std=(0.5,) * 3, padding="same")
    found = transfer_of(load(root / "hymenoptera"), network)
    assert found.quadrant == "many_similar"
    assert found.skill > 0.7 > found.stages[0].skill
