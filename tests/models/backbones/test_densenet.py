"""DenseNet, and what its memory is spent on (SYS-083, ERR-084, ERR-096, DX-110, Q-105)."""

import pytest
import torch
import torchvision
from torch import nn

from snellen.errors import ConfigError
from snellen.models.backbones import DenseNet, densenet
from snellen.nn import FrozenBatchNorm


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def small(*, depth: int = 6, **options) -> DenseNet:
    torch.manual_seed(0)
    return DenseNet(8, 16, (depth, 4), **options)


def kept_bytes(net: nn.Module, x: torch.Tensor) -> int:
    """What a forward pass in training keeps for the backward pass, less the weights."""
    weights = {p.untyped_storage().data_ptr() for p in net.parameters()}
    sizes: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        maps = net.train()(x)
        total = sum(value.sum() for value in maps.values())
    assert total.requires_grad
    return sum(sizes.values())


def test_recomputation_changes_nothing_but_what_is_kept():
    """Outputs, gradients and running statistics are the same to the last bit, also after a second step."""
    found = []
    for recompute in (False, True):
        net = small(recompute=recompute).train()
        for step in range(2):
            net.zero_grad()
            maps = net(noise(2, 3, 32, 32) + step)
            sum(value.square().mean() for value in maps.values()).backward()
        state = {**net.state_dict(), **{f"grad {name}": p.grad for name, p in net.named_parameters()}, **maps}
        found.append(state)
    assert found[0].keys() == found[1].keys()
    for key, value in found[0].items():
        assert torch.equal(value, found[1][key]), key
    assert found[1]["norm0.num_batches_tracked"] == 2
    assert found[1]["denseblock1.denselayer1.norm1.num_batches_tracked"] == 2


def test_what_is_kept_grows_with_the_square_of_depth_unless_it_is_recomputed():
    """ERR-084, SYS-334: joined and normalised copies are what grows; the maps themselves are as many as the layers."""
    x = noise(2, 3, 32, 32)
    kept = {
        recompute: [kept_bytes(small(depth=depth, recompute=recompute), x) for depth in (8, 16, 32)]
        for recompute in (False, True)
    }
    naive, frugal = kept[False], kept[True]
    assert (naive[2] - naive[1]) > 2.6 * (naive[1] - naive[0])
    assert (frugal[2] - frugal[1]) < 2.4 * (frugal[1] - frugal[0])
    assert frugal[2] < 0.4 * naive[2]


def test_recomputation_in_evaluation_and_with_frozen_norms():
    for norm in (nn.BatchNorm2d, FrozenBatchNorm):
        plain, frugal = (small(norm=norm, recompute=recompute).eval() for recompute in (False, True))
        frugal.load_state_dict(plain.state_dict())
        x = noise(1, 3, 24, 24)
        for net in (plain, frugal):
            net(x)["c2"].sum().backward()
        assert torch.equal(plain(x)["c2"], frugal(x)["c2"])
        assert torch.equal(plain.conv0.weight.grad, frugal.conv0.weight.grad)


def test_kernels_are_1_and_3_behind_the_stem():
    """ERR-096: no multi-scale kernels; the strength is that maps are joined and used again."""
    with torch.device("meta"):
        net = densenet(121)
    kernels = [module.kernel_size[0] for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert kernels[0] == 7
    assert set(kernels[1:]) == {1, 3}
    assert len(kernels) == 120  # and the classifier


@torch.no_grad()
def test_every_layer_reads_all_before_it():
    net = small(depth=3).eval()
    block = net.denseblock1
    x = noise(1, 16, 5, 5)
    maps = [x]
    for layer in (block.denselayer1, block.denselayer2, block.denselayer3):
        joined = torch.cat(maps, dim=1)
        assert layer.conv1.in_channels == joined.shape[1]
        inner = layer.norm2(layer.conv1(layer.norm1(joined).relu())).relu()
        maps.append(layer.conv2(inner))
    torch.testing.assert_close(block(x), torch.cat(maps, dim=1))


def test_first_files_of_torchvision_are_read(tmp_path):
    """Their keys have a dot between kind and number."""
    from snellen.models.weights import load_weights

    theirs = torchvision.models.densenet121(weights=None).state_dict()
    old = {}
    for key, value in theirs.items():
        for kind in ("norm", "conv"):
            for number in "12":
                if ".denselayer" in key:
                    key = key.replace(f".{kind}{number}.", f".{kind}.{number}.")  # noqa: PLW2901
        old[key] = value
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    report = load_weights(densenet(121), tmp_path / "old.pth")
    assert not report.missing
    assert set(report.unexpected) == {"classifier.weight", "classifier.bias"}


@torch.no_grad()
def test_dilated_blocks_see_as_far():
    """Yang et al. 2018: without its pool a transition keeps the size, and the 3×3 convolutions behind it are spread."""
    with torch.device("meta"):
        net = densenet(121, output_stride=8)
    rates = {
        name: {m.dilation[0] for m in getattr(net, name).modules() if isinstance(m, nn.Conv2d) and m.kernel_size[0] > 1}
        for name in ("denseblock1", "denseblock2", "denseblock3", "denseblock4")
    }
    assert rates == {"denseblock1": {1}, "denseblock2": {1}, "denseblock3": {2}, "denseblock4": {4}}
    assert isinstance(net.transition1.pool, nn.AvgPool2d)
    assert isinstance(net.transition2.pool, nn.Identity)


def test_there_is_no_such_network():
    with pytest.raises(ConfigError, match="layers must be one of 121, 161, 169, 201; got 264"):
        densenet(264)
