"""Frozen norms, which are computed as one with their convolutions where that pays, change no map."""

import pytest
import torch
from torch import nn

from snellen.models.backbones import find_backbone
from snellen.nn import FrozenBatchNorm

NAMES = (
    "plain18", "resnetv2_18", "seresnet18", "cifar_resnet20", "wrn16_8", "densenet121", "shufflenet_v1_g3",
    "shufflenet_v2_x0_5", "efficientnet_b0", "mobilenet_v2_035", "mobilenet_v3_small", "cifar_bottleneck",
    "cifar_inverted",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_frozen_norms_change_no_map(name):
    torch.manual_seed(0)
    free, frozen = find_backbone(name)().eval(), find_backbone(name)(norm=FrozenBatchNorm).train()
    for module in free.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.uniform_(0.5, 1.5)
    frozen.load_state_dict(free.state_dict())
    frozen.eval()  # dropped residuals aside, training is the same
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    found, wanted = frozen(x), free(x)
    for feature, value in wanted.items():
        scale = value.abs().max()
        torch.testing.assert_close(found[feature] / scale, value / scale, atol=1e-4, rtol=0)
    assert not [key for key, _ in frozen.named_parameters() if "bn" in key or "norm" in key]


@torch.no_grad()
def test_squeezenet_with_norms():
    """Published without any; with them they stand behind every convolution, and the keys of the weights stay."""
    torch.manual_seed(0)
    plain, normed = find_backbone("squeezenet1_1")(), find_backbone("squeezenet1_1")(norm=nn.BatchNorm2d)
    assert plain.state_dict().keys() < normed.state_dict().keys()
    norms = [module for module in normed.modules() if isinstance(module, nn.BatchNorm2d)]
    convs = [module for module in normed.modules() if isinstance(module, nn.Conv2d)]
    assert len(norms) == len(convs) == 25
    missing = normed.eval().load_state_dict(plain.state_dict(), strict=False)
    assert not missing.unexpected_keys
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    close = {key: torch.allclose(normed(x)[key], plain(x)[key], atol=1e-2) for key in ("c1", "c2", "c3", "c4")}
    assert all(close.values()), close  # fresh norms divide by a deviation of 1
