"""Heads, auxiliary heads, and what a file of other weights does."""

from functools import partial

import pytest
import torch
from torch import nn

from snellen.errors import CheckpointError, ConfigError, InputError
from snellen.models import builder_options, find_model, load_weights
from snellen.models.backbones import ALEXNET_POOLED, alexnet, find_backbone, googlenet, resnet18
from snellen.models.classification import Auxiliary, ClassMapHead, FcHead, ImageClassifier, MeanHead
from snellen.models.classification.lenet_head import LeNetHead
from snellen.structures import ClassTarget, LabelSetTarget, ValueTarget

NUM_CLASSES = 3
TARGET = ClassTarget(probs=torch.eye(NUM_CLASSES)[[0, 2]])
UNPADDED = (
    "lenet5",
    "lenet5_modern",
    "alexnet",
    "alexnet_paper",
    "caffenet",
    "zfnet",
    "nin",
    "inception_v3",
    "xception",
)


@pytest.mark.parametrize(
    ("name", "weights"),
    [("googlenet", (0.3, 0.3)), ("googlenet_paper", (0.3, 0.3)), ("inception_v3", (0.4,))],
)
def test_auxiliary_losses_are_named_and_weighted_in_training_alone(name, weights, make_images):
    """SYS-072, NUM-061, SYS-074: two heads of weight 0.3 and three losses; Inception v3 has one of weight 0.4."""
    torch.manual_seed(0)
    entry = find_model(name)
    images = make_images(*[(max(64, entry.least_size),) * 2] * 2)
    model = entry.build(NUM_CLASSES)
    output = model.train()(images)
    losses = model.loss(output, TARGET)
    assert list(losses) == ["cross_entropy", *(f"auxiliary{number}" for number in range(1, len(weights) + 1))]
    for number, weight in enumerate(weights):
        wanted = nn.functional.cross_entropy(output.auxiliary[:, number], TARGET.probs)
        torch.testing.assert_close(losses[f"auxiliary{number + 1}"], weight * wanted)
    with torch.no_grad():
        output = model.eval()(images)
    assert output.auxiliary is None
    assert list(model.loss(output, TARGET)) == ["cross_entropy"]


def test_auxiliary_heads_do_nothing_in_evaluation(make_images):
    model = find_model("googlenet").build(NUM_CLASSES).eval()
    for head in model.auxiliary.values():
        head.register_forward_hook(lambda *_: pytest.fail("an auxiliary head was asked"))
    model(make_images((32, 32)))


def test_auxiliary_heads_can_be_left_out(make_images):
    model = find_model("googlenet").build(NUM_CLASSES, auxiliary_weight=0.0)
    assert not model.auxiliary
    assert list(model.loss(model(make_images((32, 32), (32, 32))), TARGET)) == ["cross_entropy"]


def test_auxiliary_losses_teach_what_stands_before_them(make_images):
    """Q-108, SYS-074: they reach the stem, by a shorter way, and nothing behind the map on which they stand."""
    torch.manual_seed(0)
    model = find_model("googlenet_paper").build(NUM_CLASSES)
    losses = model.loss(model.train()(make_images((64, 64), (64, 64))), TARGET)
    net = model.backbone
    parts = {
        "stem": net.conv1,
        "4a": net.inception4a,
        "4b": net.inception4b,
        "4d": net.inception4d,
        "5b": net.inception5b,
    }
    weights = [part.get_submodule("branch1" if name != "stem" else "").conv.weight for name, part in parts.items()]
    for loss, reached in (("auxiliary1", 2), ("auxiliary2", 4), ("cross_entropy", 5)):
        found = torch.autograd.grad(losses[loss], weights, retain_graph=True, materialize_grads=True)
        assert [bool(gradient.any()) for gradient in found] == [True] * reached + [False] * (5 - reached)


def test_one_linear_classifier_and_those_of_the_auxiliary_heads():
    """ERR-089: GoogLeNet has one linear layer behind its mean, and fully connected ones in the auxiliary heads."""
    model = find_model("googlenet").build(10)
    linear = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert linear == {
        "head.linear",
        *(f"auxiliary.{name}.{layer}" for name in ("c4a", "c4d") for layer in ("fc1", "fc2")),
    }


def test_maps_that_a_backbone_lacks():
    auxiliary = Auxiliary(map_name="c4a", head=MeanHead, weight=0.3)
    with pytest.raises(ConfigError, match="'c4a'; the backbone has c1, c2, c3, c4, c5"):
        ImageClassifier(resnet18(), 2, auxiliary=[auxiliary])
    assert ImageClassifier(googlenet(), 2, auxiliary=[auxiliary]).auxiliary["c4a"].linear.in_features == 512


def test_at_least_one_output():
    with pytest.raises(ConfigError, match="at least one output; got 0"):
        ImageClassifier(resnet18(), 0)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "alexnet", "nin", "lenet5"])
def test_another_backbone_under_the_same_head(name, make_images):
    options = {"fc_width": 16} if name == "alexnet" else {}
    model = find_model(name).build(NUM_CLASSES, backbone="resnet18", **options)
    losses = model.loss(model(make_images((64, 64), (64, 64))), TARGET)
    assert ("auxiliary1" in losses) == (name == "inception_v3")  # whose head stands on c4, which ResNet has, too


@pytest.mark.parametrize("name", UNPADDED)
@torch.no_grad()
def test_the_least_size_is_the_least(name, make_images):
    """An image of this size leaves a cell in every map; a smaller one is refused with what to do."""
    entry = find_model(name)
    model = entry.build(NUM_CLASSES, **({"fc_width": 16} if "fc_width" in builder_options(entry) else {})).eval()
    least = entry.least_size
    assert model.backbone.least_size == least
    assert model(make_images((least, least))).logits.isfinite().all()
    small = torch.zeros(1, 3, least - 1, least)
    with pytest.raises(InputError, match=f"at least {least} x {least} px.*{least - 1} x {least}.*padded=true"):
        model(make_images((least - 1, least)))
    with pytest.raises(RuntimeError):
        model.backbone(small)


@pytest.mark.parametrize("name", UNPADDED)
def test_padding_changes_no_weights(name):
    usual = {"zfnet": "zfnet_paper"}.get(name, name)
    with torch.device("meta"):
        plain, padded = find_backbone(usual)(padded=False), find_backbone(usual)()
    assert {key: value.shape for key, value in plain.state_dict().items()} == {
        key: value.shape for key, value in padded.state_dict().items()
    }
    assert padded.least_size == 1


def test_fc_head_drops_in_training_alone(make_images):
    model = ImageClassifier(
        alexnet(), NUM_CLASSES, head=partial(FcHead, pooled=ALEXNET_POOLED, family="alexnet", width=64)
    )
    images = make_images((64, 64))
    assert not torch.equal(model.train()(images).logits, model(images).logits)
    assert torch.equal(model.eval()(images).logits, model(images).logits)


def test_class_maps_are_averaged(make_images):
    """SYS-071, SYS-111, ERR-064: NIN turns averaged maps straight into scores; there is no linear layer."""
    model = ImageClassifier(resnet18(), NUM_CLASSES, head=ClassMapHead).eval()
    assert not any(isinstance(module, nn.Linear) for module in model.modules())
    images = make_images((64, 96))
    maps = model.backbone(model.normalize(images))["c5"]
    wanted = model.head.class_maps(maps).relu().mean(dim=(2, 3))
    torch.testing.assert_close(model(images).logits, wanted)


def save(name: str, file, **options):
    torch.manual_seed(0)
    torch.save(find_model(name).build(5, **options).state_dict(), file)


def test_weights_of_another_network(tmp_path):
    save("googlenet", tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth.*no key fits"):
        load_weights(find_model("vgg11").build(5, fc_width=16), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"another shape: head\.linear\.weight \[5, 1024\] in the file"):
        load_weights(find_model("resnet18").build(4), tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "alexnet", "nin_cifar", "lenet5_modern"])
def test_weights_of_another_number_of_classes(name, tmp_path):
    options = {"fc_width": 16} if name == "alexnet" else {}
    save(name, tmp_path / "w.pth", **options)
    model = find_model(name).build(NUM_CLASSES, **options)
    report = load_weights(model, tmp_path / "w.pth")
    assert not report.missing
    assert not report.unexpected
    assert all(item.key.startswith(("head.", "auxiliary.")) for item in report.reshaped)
    assert len(report.reshaped) == 2 * (1 + len(model.auxiliary))
    assert f"[5, {report.reshaped[0].file_shape[1]}" in report.summary()


def test_weights_that_were_cut_off(tmp_path):
    save("lenet5", tmp_path / "w.pth")
    whole = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"cut\.pth.*fetch or save it again"):
        load_weights(find_model("lenet5").build(5), tmp_path / "cut.pth")


@pytest.mark.parametrize("kind", [LabelSetTarget, ValueTarget])
@pytest.mark.parametrize("name", ["lenet5", "nin_cifar", "googlenet", "alexnet"])
def test_heads_learn_label_sets_and_values_too(name, kind, make_images):
    """Distances from codes and averaged maps behind a ReLU are of one sign, and make room for numbers of either."""
    torch.manual_seed(0)
    entry = find_model(name).learning(kind)
    model = entry.build(NUM_CLASSES, **({"fc_width": 16} if name == "alexnet" else {})).train()
    output = model(make_images((64, 64), (64, 64)))
    known = torch.ones(2, NUM_CLASSES, dtype=torch.bool)
    target = kind(**{"shown" if kind is LabelSetTarget else "values": torch.eye(NUM_CLASSES)[:2], "known": known})
    losses = model.loss(output, target)
    assert len(losses) == 1 + len(model.auxiliary)
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert not isinstance(model.head, LeNetHead) or isinstance(model.head.output, nn.Linear)
