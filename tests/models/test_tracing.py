"""What a cell can depend on, and what is computed and written (SYS-092, SYS-138; ERR-052, ERR-053, ERR-055)."""

from itertools import permutations
from math import inf

import numpy as np
import pytest
import torch
import torchinfo
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from snellen.models import describe_backbone, describe_model, find_model
from snellen.models.backbones import find_backbone
from snellen.models.description import receptive_fields
from snellen.models.tracing import RunTracer, traced_modules


def traced(module: nn.Module, side: int = 64) -> tuple[RunTracer, Tensor]:
    image = torch.zeros(1, 3, side, side)
    tracer = RunTracer(image)
    with traced_modules(tracer, module):
        result = module(image)
    return tracer, result


def field(module: nn.Module, side: int = 64) -> tuple[float, float] | None:
    tracer, result = traced(module, side)
    reach = tracer.reach(result)
    return None if reach is None else reach.field


def support(module: nn.Module, side: int = 64) -> tuple[int, int]:
    """Extent of the gradient of the cell in the middle."""
    module = module.double().eval()
    for p in module.parameters():
        nn.init.constant_(p, 0.1)
    image = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    out = module(image)
    out[0, :, out.shape[2] // 2, out.shape[3] // 2].sum().backward()
    rows, columns = image.grad[0].abs().sum(dim=0).nonzero(as_tuple=True)
    return int(rows.max() - rows.min() + 1), int(columns.max() - columns.min() + 1)


class Branches(nn.Module):
    """A 1×1, a 5×1 and a dilated 3×3 side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.small = nn.Conv2d(3, 2, 1)
        self.tall = nn.Conv2d(3, 2, (5, 1), padding=(2, 0))
        self.dilated = nn.Conv2d(3, 2, 3, padding=4, dilation=4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.small(x), self.tall(x), self.dilated(x)], dim=1)


class Apart(nn.Module):
    """Two windows that lie side by side: their hull is wider than either of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        left = self.conv(functional.pad(x, (1, 0, 1, 0)))
        right = self.conv(functional.pad(x, (0, 1, 0, 1)))
        return left + right


class UpAndDown(nn.Module):
    """An encoder and a decoder with a short cut between."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self.down = nn.Conv2d(3, 2, 3, stride=2, padding=1)
        self.up = nn.Conv2d(2, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        options = {} if self.mode == "nearest" else {"align_corners": False}
        return x + self.up(functional.interpolate(self.down(x), scale_factor=2, mode=self.mode, **options))


def chain(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def conv(kernel, **options) -> nn.Conv2d:
    return nn.Conv2d(3, 3, kernel, **options)


# With the field worked out by hand.
LAYERS = {
    "7 then 3 (ERR-052: not -15)": (chain(conv(7), conv(3)), (9, 9)),
    "three 3x3 are a 7x7 (NUM-043)": (chain(conv(3), conv(3), conv(3)), (7, 7)),
    "stride": (chain(conv(3, stride=2, padding=1), conv(3, padding=1)), (7, 7)),
    "pool": (chain(conv(3, padding=1), nn.MaxPool2d(2), conv(3, padding=1)), (8, 8)),
    "average pool": (chain(nn.AvgPool2d(3, 2, 1), conv(3)), (7, 7)),
    "pool that rounds up": (chain(nn.MaxPool2d(3, 2, ceil_mode=True), conv(3)), (7, 7)),
    "dilation (ERR-053)": (chain(conv(3, dilation=2), conv(3, dilation=4)), (13, 13)),
    "asymmetric": (chain(conv((1, 7)), conv((7, 1)), conv((1, 3))), (7, 9)),
    "branches": (Branches(), (9, 9)),
    "branches that look to other sides": (Apart(), (3, 3)),
    "transposed, stride 2": (chain(conv(3, stride=2, padding=1), nn.ConvTranspose2d(3, 3, 2, 2)), (3, 3)),
    "transposed, 4 of 2": (chain(conv(3, stride=2, padding=1), nn.ConvTranspose2d(3, 3, 4, 2, 1)), (5, 5)),
    "enlarged": (UpAndDown("nearest"), (5, 5)),
    "bilinear": (UpAndDown("bilinear"), (7, 7)),
    "cropped and padded": (chain(nn.ZeroPad2d((3, 0, 0, 3)), conv(3)), (3, 3)),
    "1x1 conv": (conv(1), (1, 1)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_field_is_what_the_paper_and_pencil_say(name):
    module, wanted = LAYERS[name]
    assert field(module) == wanted


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("pool", "pool that rounds up", "enlarged")])
def test_field_is_the_support_of_the_gradient(name):
    """Maxima pass one pixel on, and a phase of a nearest neighbour may see less; the others show all of their field."""
    module, wanted = LAYERS[name]
    assert support(module) == wanted


def test_nearest_neighbours_differ_by_phase():
    """The widest of them counts: a cell at the end of its block sees one more pixel than the one at its start."""
    module = UpAndDown("nearest").double().eval()
    for p in module.parameters():
        nn.init.constant_(p, 0.1)
    widths = []
    for column in (32, 33):
        image = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
        module(image)[0, :, 32, column].sum().backward()
        seen = image.grad[0].abs().sum(dim=(0, 1)).nonzero()
        widths.append(int(seen.max() - seen.min() + 1))
    assert max(widths) == field(module.float())[1]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(3, 2, 0, 1), (3, 2, 1, 1), (5, 3, 2, 2), (2, 2, 0, 1), (7, 2, 3, 1)]
)
def test_output_size_is_floored(kernel, stride, padding, dilation):
    """ERR-055: floor((H + 2p - d(k - 1) - 1) / s) + 1, with the floor and the dilation."""
    for side in (33, 34, 35, 64):
        layer = conv(kernel, stride=stride, padding=padding, dilation=dilation)
        tracer, _ = traced(chain(layer), side)
        wanted = (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        assert tracer.modules["0"].output_shape == (1, 3, wanted, wanted)


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.gate = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * self.gate(x.mean(dim=(2, 3), keepdim=True)).sigmoid()


@pytest.mark.parametrize(
    "module",
    [
        chain(conv(3), nn.AdaptiveAvgPool2d(1)),
        chain(conv(3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(3, 2)),
        chain(conv(3, stride=8), nn.Flatten(), nn.Linear(3 * 64, 2)),
        Gate(),
        chain(conv(3), nn.GroupNorm(1, 3)),
        chain(Gate(), conv(3)),
    ],
)
def test_whatever_sees_the_whole_map_sees_the_whole_image(module):
    assert field(module) == (inf, inf)


def test_a_gate_leaves_the_local_field_known():
    tracer, result = traced(chain(Gate(), conv(3, padding=1)))
    assert tracer.reach(result).local_field == (5, 5)


class ChannelsLast(nn.Module):
    """A block of ConvNeXt: depthwise 7×7, then layers that are the same at every place, with channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.Conv2d(3, 3, 7, padding=3, groups=3)
        self.norm = nn.LayerNorm(3)
        self.up, self.down = nn.Linear(3, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        return x + self.down(functional.gelu(self.up(y))).permute(0, 3, 1, 2)


class Shuffle(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, x], dim=1)
        batch, channels, rows, columns = x.shape
        x = x.view(batch, 2, channels // 2, rows, columns).transpose(1, 2).reshape(batch, channels, rows, columns)
        one, other = x.chunk(2, dim=1)
        return one + other


def test_layers_that_are_the_same_everywhere_see_no_further():
    assert field(chain(ChannelsLast(), ChannelsLast())) == (13, 13)
    assert field(chain(Shuffle(), conv(3, padding=1))) == (3, 3)


class Rolled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.roll(3, dims=2)


def test_what_cannot_be_followed_is_not_told():
    assert field(chain(conv(3), Rolled())) is None


# Araujo et al. 2019, https://distill.pub/2019/computing-receptive-fields, table of published networks; VGG: Simonyan &
# Zisserman's networks as counted there. ResNets here have their stride in the 3×3 convolution ("v1.5"), where one with
# the stride in the 1×1, as counted there, sees 483 px instead of 427.
PUBLISHED = {
    ("alexnet", "c5"): 195, ("vgg16", "c5"): 212, ("inception_v2", "c5"): 699, ("inception_v3", "c5"): 1311,
    ("resnet50", "c5"): 427, ("resnet101", "c5"): 971, ("resnet18", "c5"): 435,
}  # fmt: skip


@pytest.mark.parametrize(("name", "feature"), PUBLISHED)
def test_fields_of_published_networks(name, feature):
    """SYS-138; ERR-052: the end of VGG-16 sees 212 px, not 32."""
    assert receptive_fields(find_backbone(name)())[feature] == PUBLISHED[name, feature]


def test_stride_in_the_first_convolution_sees_further():
    """SYS-108: the 483 px of ResNet-50 as He et al. 2015 have it."""
    backbone = find_backbone("resnet50")()
    for module in backbone.modules():
        if type(module).__name__ == "Bottleneck" and module.conv2.stride == (2, 2):
            module.conv1.stride, module.conv2.stride = (2, 2), (1, 1)
    assert receptive_fields(backbone)["c5"] == 483


def test_work_equals_torchs_own_count():
    """SYS-332: a multiply-add is two operations."""
    backbone = find_backbone("mobilenet_v2")().eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        backbone(torch.zeros(1, 3, 96, 96))
    assert describe_backbone("mobilenet_v2", size=(96, 96)).multiply_adds * 2 == counter.get_total_flops()


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "mobilenet_v2", "shufflenet_v2_x0_5", "googlenet"])
def test_parameters_and_work_equal_torchinfos(name):
    """SYS-332, SYS-333: of convolutions and linear layers; torchinfo counts products by weights of norms, too."""
    backbone = find_backbone(name)().eval()
    wanted = torchinfo.summary(backbone, (1, 3, 64, 64), verbose=0, depth=12)
    work = sum(each.macs for each in wanted.summary_list if isinstance(each.module, nn.Conv2d | nn.Linear))
    biases = sum(
        each.output_size[2] * each.output_size[3] * len(each.module.bias)
        for each in wanted.summary_list
        if isinstance(each.module, nn.Conv2d) and each.module.bias is not None
    )
    found = describe_backbone(name, size=(64, 64))
    assert found.num_parameters == wanted.total_params
    assert found.multiply_adds == work - biases


def test_attention_counts_its_two_products():
    """SYS-136."""

    class Attends(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            tokens = x.flatten(2).transpose(1, 2)[:, None]
            return functional.scaled_dot_product_attention(tokens, tokens, tokens)

    tracer, _ = traced(Attends(), 8)
    assert tracer.total.multiply_adds == 2 * 64 * 64 * 3


def test_layers_add_up():
    found = describe_model(find_model("resnet18"), num_classes=10, size=(64, 64))
    rows = {layer.path: layer for layer in found.layers}
    parts = [layer for layer in found.layers if layer.depth == 1]
    assert sum(layer.num_parameters for layer in parts) == found.num_parameters == rows[""].num_parameters
    assert sum(layer.multiply_adds for layer in parts) == found.multiply_adds == rows[""].multiply_adds
    inside = [layer for path, layer in rows.items() if path.startswith("backbone.") and layer.depth == 2]
    assert sum(layer.written_bytes for layer in inside) == rows["backbone"].written_bytes < found.written_bytes
    conv1 = rows["backbone.conv1"]
    assert conv1.output_shape == (1, 64, 32, 32)
    assert conv1.multiply_adds == 7 * 7 * 3 * 64 * 32 * 32
    assert conv1.written_bytes == 4 * 64 * 32 * 32
    assert (conv1.receptive_field_px, conv1.stride) == ((7, 7), 2)
    assert rows["backbone.relu"].written_bytes == 0  # in place


def test_containers_that_are_not_called_have_the_sum_of_their_parts():
    found = describe_backbone("vgg11", size=(64, 64))
    rows = {layer.path: layer for layer in found.layers}
    assert rows["layers"].calls == 0
    assert rows["layers"].multiply_adds == found.multiply_adds


def test_a_run_leaves_the_network_as_it_was():
    backbone = find_backbone("resnet18")().train()
    backbone.layer1.eval()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    traced(backbone)
    assert backbone.training
    assert not backbone.layer1.training
    assert backbone.layer2.training
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in backbone.modules())


def test_spans_continue_beyond_the_ends():
    """A border sees what the middle sees: the field does not depend on the size of the image."""
    small, large = (receptive_fields_at(side) for side in (64, 512))
    assert small == large


def receptive_fields_at(side: int) -> tuple[float, float]:
    backbone = find_backbone("resnet50")()
    image = torch.zeros(1, 3, side, side)
    tracer = RunTracer(image)
    with traced_modules(tracer, backbone):
        maps = backbone(image)
    reach = tracer.reach(maps["c5"])
    assert np.ptp(reach.spans[0].high - reach.spans[0].low) == 0
    return reach.field


def test_a_convolution_of_one_pixel_keeps_the_size():
    """ERR-068, SYS-096: it mixes channels; only a stride makes a map smaller, of a kernel of any size."""
    for stride, side in ((1, 64), (2, 32)):
        layer = nn.Conv2d(3, 5, 1, stride=stride)
        tracer, result = traced(layer)
        assert result.shape == (1, 5, side, side)
        reach = tracer.reach(result)
        assert reach.field == (1, 1)
        assert reach.spans[0].jump == stride


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.MaxPool2d(2)], ids=["mean", "maximum"])
def test_pools_hold_no_weights_and_spare_those_of_a_full_layer_alone(pool):
    """SYS-114, ERR-056, ERR-062: maps, work and what follows shrink; convolutions keep their weights."""
    maps = [nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)]
    convolved = [nn.Sequential(maps[0], *between, maps[1]) for between in ((), (pool,))]
    sides, work, weights = [], [], []
    for network in convolved:
        tracer, result = traced(network)
        sides.append(result.shape[-1])
        work.append(tracer.total.multiply_adds)
        weights.append(sum(p.numel() for p in network.parameters()))
    assert sides == [64, 32]  # of the mean and of the maximum alike
    assert list(pool.parameters()) == []
    assert weights[0] == weights[1]
    assert work[0] - work[1] == 0.75 * 8 * 8 * 9 * 64 * 64
    with_full_layer = [nn.Linear(8 * side**2, 10).weight.numel() for side in sides]
    assert with_full_layer[1] == with_full_layer[0] / 4


def test_joining_by_channels_costs_twice_what_a_sum_costs_and_holds_it():
    """SYS-125, ERR-075: a sum is a join whose next kernels are tied; the join has twice the weights, work and map."""
    torch.manual_seed(0)
    one, other = torch.randn(1, 8, 16, 16), torch.randn(1, 8, 16, 16)
    behind_sum, behind_join = nn.Conv2d(8, 4, 3, padding=1), nn.Conv2d(16, 4, 3, padding=1)
    with torch.no_grad():
        behind_join.weight.copy_(torch.cat([behind_sum.weight, behind_sum.weight], dim=1))
        behind_join.bias.copy_(behind_sum.bias)
    joined, added = torch.cat([one, other], dim=1), one + other
    torch.testing.assert_close(behind_join(joined), behind_sum(added), atol=1e-5, rtol=1e-5)
    assert behind_join.weight.numel() == 2 * behind_sum.weight.numel()
    assert joined.numel() == 2 * added.numel()
    work = []
    for layer, x in ((behind_join, joined), (behind_sum, added)):
        tracer = RunTracer(x)
        with traced_modules(tracer, layer):
            layer(x)
        work.append(tracer.total.multiply_adds)
    assert work[0] == 2 * work[1]
    behind_join.weight.data[:, :8] *= 2  # untied, the join can tell its inputs apart; a sum cannot
    swapped = torch.cat([other, one], dim=1)
    assert not torch.allclose(behind_join(joined), behind_join(swapped))
    assert torch.equal(behind_sum(one + other), behind_sum(other + one))


def test_a_full_layer_does_not_mind_a_permutation_of_pixels_and_a_convolution_does():
    """ERR-060: it sees every place and presumes nothing about neighbours."""
    torch.manual_seed(0)
    order = torch.randperm(64)
    image = torch.randn(1, 1, 8, 8)
    shuffled = image.flatten()[order].reshape_as(image)
    layer = nn.Linear(64, 5)
    wanted = layer(image.flatten(1))
    layer.weight.data = layer.weight.data[:, order]
    torch.testing.assert_close(layer(shuffled.flatten(1)), wanted)
    kernel = torch.randn(1, 1, 2, 2)
    found = functional.conv2d(image, kernel).flatten().sort().values
    for places in permutations(range(4)):
        changed = kernel.flatten()[list(places)].reshape_as(kernel)
        assert (functional.conv2d(shuffled, changed).flatten().sort().values - found).abs().max() > 0.1
