import pytest
import torch
from torch import nn

from snellen.errors import ConfigError
from snellen.models import MODELS, count_parameters, describe_model, find_model
from snellen.models.backbones import find_backbone, mobilenet_v2
from snellen.models.description import receptive_fields


def test_names_are_unique_and_found():
    names = [entry.name for entry in MODELS]
    assert len(set(names)) == len(names)
    assert [find_model(name).name for name in names] == names


@pytest.mark.parametrize(("typed", "meant"), [("resnet-18", "resnet18"), ("unet_resnet_34", "unet_resnet34")])
def test_unknown_name_is_answered_with_a_near_one(typed, meant):
    with pytest.raises(ConfigError, match=f"no model {typed!r}.*{meant}"):
        find_model(typed)


def test_options_reach_the_model():
    model = find_model("mobilenet_v2").build(3, padding="same", mean=(0.5,) * 3, std=(0.25,) * 3, dropout=0.3)
    assert model.normalize.mean == (0.5, 0.5, 0.5)
    assert model.normalize.std == (0.25, 0.25, 0.25)
    assert model.head.dropout.p == 0.3
    x = torch.randn(1, 3, 32, 32)
    plain = mobilenet_v2().eval()
    plain.load_state_dict(model.backbone.state_dict())
    assert not torch.allclose(model.eval().backbone(x)["c1"], plain(x)["c1"])


def test_padding_that_a_backbone_does_not_know():
    with pytest.raises(ConfigError, match="padding must be 'torch' for resnet18; got 'same'"):
        find_model("unet_resnet18").build(3, padding="same")


# Parameters and multiply-adds (GFLOPS in its tables) that torchvision publishes for 1000 classes at 224 px:
# https://docs.pytorch.org/vision/stable/models.html
@pytest.mark.parametrize(
    ("name", "parameters", "giga_multiply_adds"),
    [("resnet18", 11689512, 1.81), ("resnet50", 25557032, 4.09), ("mobilenet_v2", 3504872, 0.3)],
)
def test_figures_equal_torchvisions(name, parameters, giga_multiply_adds):
    """SYS-332, SYS-333."""
    found = describe_model(find_model(name), num_classes=1000)
    assert found.num_parameters == found.num_trainable == parameters
    assert found.multiply_adds / 1e9 == pytest.approx(giga_multiply_adds, abs=0.006)
    assert found.size == (224, 224)


def test_size_is_rounded_up_to_the_stride():
    found = describe_model(find_model("unet_mobilenet_v2"), num_classes=2, size=(33, 64))
    assert found.size == (64, 64)
    assert [feature.stride for feature in found.features] == [2, 4, 8, 16, 32]


def test_count_of_trainable_parameters():
    layer = nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    assert count_parameters(layer) == 8
    assert count_parameters(layer, only_trainable=True) == 6


def linearised(backbone: nn.Module) -> nn.Module:
    """Averages for maxima, no activations, positive weights: every path shows in a gradient."""
    for name, module in backbone.named_modules():
        parent = backbone.get_submodule(name.rpartition(".")[0])
        if isinstance(module, nn.MaxPool2d):
            setattr(parent, name.rpartition(".")[2], nn.AvgPool2d(3, 2, 1))
        elif isinstance(module, (nn.ReLU, nn.ReLU6)):
            setattr(parent, name.rpartition(".")[2], nn.Identity())
        elif isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    return backbone.eval().double()


@pytest.mark.parametrize(
    ("name", "feature"), [("resnet18", "c3"), ("resnet18", "c5"), ("resnet50", "c5"), ("mobilenet_v2", "c5")]
)
def test_receptive_field_equals_reach_of_the_gradient(name, feature):
    backbone = find_backbone(name)()
    wanted = receptive_fields(backbone)[feature]
    image = torch.zeros(1, 3, 32, 1024, dtype=torch.float64, requires_grad=True)
    found = linearised(backbone)(image)[feature]
    found[0, 0, 0, found.shape[-1] // 2].backward()
    columns = image.grad.abs().sum(dim=(0, 1, 2)).nonzero()
    assert (columns.max() - columns.min() + 1).item() == wanted


def test_receptive_field_leaves_the_backbone_as_it_was():
    backbone = find_backbone("resnet18")().train()
    before = backbone.bn1.running_mean.clone()
    receptive_fields(backbone)
    assert backbone.training
    assert torch.equal(backbone.bn1.running_mean, before)
