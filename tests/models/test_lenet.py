"""LeNet-5 as published (SYS-067), against the numbers and equations of the paper."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.models import find_model
from snellen.models.backbones import ScaledTanh, lenet5, lenet5_modern
from snellen.models.backbones.lenet import TableConv2d, TrainableSubsampling
from snellen.models.classification.lenet_head import LeNetHead, RadialOutput, class_codes
from snellen.nn import Normalize
from snellen.structures import ClassTarget

# LeCun et al. 1998, table I, as printed: rows are maps of S2, columns maps of C3.
TABLE_I = [
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX",
]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def num_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@torch.no_grad()
def test_parameters_and_connections_are_those_of_the_paper():
    """SYS-105, SYS-106: 60,000 parameters and 340,908 connections, layer by layer (section II.B)."""
    model = find_model("lenet5").build(10)
    net, head = model.backbone, model.head
    sizes = {"c1": 28, "s2": 14, "c3": 10, "s4": 5}
    parameters = {name: num_parameters(getattr(net, name)) for name in sizes}
    assert parameters == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32}
    assert num_parameters(head.c5) == 48_120
    assert num_parameters(head.f6) == 10_164
    connections = parameters["c1"] * 28**2 + parameters["c3"] * 10**2 + 48_120 + 10_164
    connections += 5 * 6 * 14**2 + 5 * 16 * 5**2  # four cells and a bias for each cell of S2 and S4
    assert connections + head.output.codes.numel() == 340_908
    found = {}
    for name, layer in {name: getattr(net, name) for name in sizes}.items():
        layer.register_forward_hook(lambda *call, name=name: found.__setitem__(name, call[-1].shape[-1]))
    assert net(torch.zeros(1, 3, 32, 32))["c2"].shape == (1, 16, 5, 5)
    assert found == sizes


def test_c3_reads_what_table_i_says():
    torch.manual_seed(0)
    c3 = lenet5().c3.double()
    x = torch.zeros(1, 6, 5, 5, dtype=torch.float64)
    silent = c3(x)
    for number, row in enumerate(TABLE_I):
        one = x.clone()
        one[0, number] = 1
        changed = (c3(one) - silent).abs().amax(dim=(0, 2, 3)) > 0
        assert "".join("X" if each else "." for each in changed.tolist()) == row


def test_a_full_table_is_a_convolution():
    torch.manual_seed(0)
    layer = TableConv2d([(0, 1, 2)] * 4, kernel=3, padding=1)
    x = noise(2, 3, 5, 6).requires_grad_()
    found = layer(x)
    wanted = functional.conv2d(x, layer.weight.reshape(4, 3, 3, 3), layer.bias, padding=1)
    torch.testing.assert_close(found, wanted)
    found.sum().backward()
    assert layer.weight.grad.abs().min() > 0


def test_subsampling_in_plain_loops():
    """SYS-110, ERR-085: sums of cells that are scaled and shifted by what is learned, unlike plain pooling."""
    torch.manual_seed(0)
    layer = TrainableSubsampling(2)
    nn.init.normal_(layer.bias)
    x = noise(1, 2, 4, 5)
    found = layer(x)
    assert found.shape == (1, 2, 2, 3)
    for channel in range(2):
        for row in range(2):
            for column in range(3):
                cells = x[0, channel, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].sum()
                wanted = layer.weight[channel] * cells + layer.bias[channel]
                torch.testing.assert_close(found[0, channel, row, column], wanted)


def test_the_squashing_function_leaves_ones_alone():
    """Appendix A: f(1) = 1 and f(-1) = -1."""
    x = torch.tensor([-1.0, 0.0, 1.0])
    torch.testing.assert_close(ScaledTanh()(x), x, atol=1e-4, rtol=0)


def test_ink_and_paper_have_the_papers_values(make_images):
    """Section II.B: white is -0.1, ink 1.175; a byte of 255 is ink."""
    images = make_images((4, 4))
    images.pixels[:, :, :2], images.pixels[:, :, 2:] = 0, 255
    net = lenet5()
    values = Normalize(net.mean, net.std)(images)
    torch.testing.assert_close(values[0, :, 0, 0], torch.full((3,), -0.1))
    torch.testing.assert_close(values[0, :, 3, 3], torch.full((3,), 1.175))


def test_codes_are_ones_and_all_different():
    for num in (2, 10, 26, 95):
        codes = class_codes(num)
        assert codes.shape == (num, 84)
        assert set(codes.unique().tolist()) == {-1.0, 1.0}
        assert len(codes.unique(dim=0)) == num
        assert torch.equal(codes, class_codes(num))


def test_output_is_the_distance_from_the_codes():
    """ERR-085, eq. 7: outputs are distances; a picture of a digit is nearest to its own class."""
    output = RadialOutput(10)
    found = output(class_codes(10))
    assert torch.equal(found.argmax(dim=1), torch.arange(10))
    torch.testing.assert_close(found.diagonal(), torch.zeros(10))
    x = noise(2, 84)
    wanted = -sum((x[1, place] - output.codes[3, place]) ** 2 for place in range(84))
    torch.testing.assert_close(output(x)[1, 3], wanted)


def test_loss_is_the_papers_discriminative_one(make_images):
    """Eq. 9 without its constant: the penalty of the right class, and the log of the sum of exp(-penalty)."""
    torch.manual_seed(0)
    model = find_model("lenet5").build(10).eval()
    images = make_images((32, 32), (32, 32))
    output = model(images)
    loss = model.loss(output, ClassTarget(probs=torch.eye(10)[[3, 8]]))["cross_entropy"]
    penalties = -output.logits
    wanted = (penalties[[0, 1], [3, 8]] + (-penalties).exp().sum(dim=1).log()).mean()
    torch.testing.assert_close(loss, wanted)


def test_initial_weights_spread_by_the_number_of_inputs():
    """Section III.B: uniform in ± 2.4 over the inputs of a unit, which for C3 depends on the table."""
    torch.manual_seed(0)
    model = find_model("lenet5").build(10)
    for layer, inputs in ((model.backbone.c1, 25), (model.head.c5, 400), (model.head.f6, 120)):
        assert 0.9 * 2.4 / inputs < layer.weight.abs().max() <= 2.4 / inputs
    kernels = model.backbone.c3.weight.abs().amax(dim=(1, 2))
    assert (kernels[:3] <= 2.4 / 75).all()  # a map that reads three
    assert (kernels[-6:] <= 2.4 / 150).all()  # the map that reads all six


def test_the_modern_one_is_another_network():
    net, head = lenet5_modern(), LeNetHead(lenet5_modern().features[-1], 10, modern=True)
    assert num_parameters(net) + num_parameters(head) == 61_706
    assert isinstance(net.s2, nn.MaxPool2d)
    assert isinstance(net.bend, nn.ReLU)
    assert isinstance(head.output, nn.Linear)


def test_colours_are_averaged():
    net = lenet5().eval()
    x = noise(1, 3, 16, 16)
    torch.testing.assert_close(net(x)["c2"], net(x.mean(dim=1, keepdim=True).expand_as(x))["c2"])


@pytest.mark.parametrize("modern", [False, True])
def test_numbers_of_either_sign_where_they_are_needed(modern):
    """Distances are of one sign, which label sets and values cannot be."""
    head = LeNetHead(lenet5().features[-1], 4, modern=modern)
    head.allow_negative()
    assert isinstance(head.output, nn.Linear)
    assert head.bias.shape == (4,)


def test_learns_digits_in_a_few_steps(make_images):
    """Four pictures of noise are told apart: gradients reach C1 through both subsamplings."""
    torch.manual_seed(0)
    model = find_model("lenet5").build(4)
    images, target = make_images(*[(32, 32)] * 4), ClassTarget(probs=torch.eye(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = model.loss(model(images), target)["cross_entropy"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
