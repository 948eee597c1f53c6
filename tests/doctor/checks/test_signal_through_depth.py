"""What comes of signal and gradient in deep networks (M26, M27, M41; DX-059, DX-062, DX-065..068, DX-070)."""

import pytest
import torch
from tests.doctor.zoo.sick import Residual, deep_plain, perceptron
from torch import nn
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


def drawn(model, std=None):
    """Draw all weights anew: by He's rule, or with one standard deviation."""
    torch.manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            if std is None:
                nn.init.kaiming_normal_(layer.weight)
            else:
                nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)
    return model


def test_small_weights_let_the_signal_fade(labelled, checked, messages) -> None:
    """DX-065, SYS-202, SYS-208: weights of 0.01 in six layers."""
    result = checked("M26", drawn(perceptron(6), 0.01), labelled, CE)
    assert messages(result) == ["WARNING fades"]
    text = find_check("M26").pages["en"].message(result.findings[0])
    assert text.startswith("Over 6 layers the signal fades to ")
    assert text.endswith(" of what it was: 11 (linear) sees nearly the same for all images (activation: relu).")
    assert result.findings[0].measured < 1e-5


def test_large_weights_let_it_grow(labelled, checked, messages) -> None:
    """SYS-208, ERR-020: ReLU bounds nothing."""
    assert messages(checked("M26", drawn(perceptron(6), 1.0), labelled, CE)) == ["WARNING grows"]


def test_one_of_several_outputs_is_enough(labelled, checked) -> None:
    """The levels of a pyramid end in one head, and on the smallest map little is left."""

    class Levels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.near = nn.Linear(432, 32), nn.Linear(32, 3)
            self.far = drawn(perceptron(6, inputs=32), 0.01)

        def forward(self, images):
            x = self.stem(images.flatten(1)).relu()
            return self.near(x) + self.far(x)

    assert checked("M26", Levels(), labelled, CE).status == Status.PASSED


def test_xavier_in_a_deep_relu_net(labelled, checked, messages) -> None:
    """DX-067, SYS-203, SYS-204: Xavier loses half of the variance in each layer of ReLU; He's rule keeps it."""
    model = perceptron(30)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    assert messages(checked("M26", model, labelled, CE)) == ["WARNING fades"]
    assert checked("M26", drawn(perceptron(30, width=128)), labelled, CE).status == Status.PASSED


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_usual_depth_with_torchs_own_weights(labelled, checked, activation) -> None:
    """SYS-207."""
    for code in ("M26", "M27", "M41"):
        assert checked(code, perceptron(5, activation), labelled, CE).status == Status.PASSED


@pytest.mark.parametrize(
    ("layer", "fan_in"), [(lambda: nn.Linear(400, 500), 400), (lambda: nn.Conv2d(64, 128, 3), 64 * 9)]
)
def test_torchs_own_spread_is_a_sixth_of_hes(layer, fan_in) -> None:
    """ERR-043, SYS-207: evenly within ±1/√fan_in, a variance of 1/(3 fan_in); He's is 2/fan_in (SYS-204)."""
    torch.manual_seed(0)
    weight = layer().weight.detach()
    assert weight.abs().max() <= fan_in**-0.5
    assert float(weight.var()) * fan_in == pytest.approx(1 / 3, rel=0.02)
    he = nn.init.kaiming_normal_(torch.empty_like(weight))
    assert float(he.var() / weight.var()) == pytest.approx(6, rel=0.03)


def spread_behind(layers: int, activation, gain: float = 1.0) -> tuple[float, float]:
    """Return the spread over images and the mean of a unit behind layers of Xavier's weights, times a gain."""
    torch.manual_seed(0)
    x = torch.randn(500, 256)
    for _ in range(layers):
        x = activation(gain * functional.linear(x, nn.init.xavier_normal_(torch.empty(256, 256))))
    return float(x.std(dim=0).mean()), float(x.mean())


def test_xavier_is_not_for_sigmoids(labelled, checked, messages) -> None:
    """ERR-042, SYS-203: it was derived for units of slope 1 about a mean of 0; sigmoids have 1/4 and 1/2."""
    first, _ = spread_behind(1, torch.tanh)
    spread, mean = spread_behind(6, torch.tanh)
    assert spread > 0.3 * first
    assert abs(mean) < 0.02
    spread, mean = spread_behind(6, torch.sigmoid)
    assert spread < 4**-5
    assert mean == pytest.approx(0.5, abs=0.1)
    for layers in range(1, 6):
        assert spread_behind(layers + 1, torch.sigmoid)[0] < 0.26 * spread_behind(layers, torch.sigmoid)[0]
    assert spread_behind(6, lambda x: 2 * torch.sigmoid(2 * x) - 1)[0] > 0.3 * first  # slope 1, mean 0: tanh again
    model = perceptron(6, "sigmoid")
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    assert messages(checked("M41", model, labelled, CE)) == ["WARNING slow"]


def test_sigmoids_in_depth(labelled, checked, messages) -> None:
    """DX-059, DX-070, SYS-129: of five sigmoids nothing comes back."""
    result = checked("M41", perceptron(6, "sigmoid"), labelled, CE)
    assert messages(result) == ["WARNING slow"]
    assert find_check("M41").pages["en"].message(result.findings[0]).startswith("5 hidden layers end in a sigmoid")
    assert messages(checked("M41", perceptron(3, "sigmoid"), labelled, CE)) == ["INFO default"]


def test_saturated_from_the_start(labelled, checked, messages) -> None:
    """DX-062, DX-066, SYS-208: weights of 1 push tanh into its flat ends."""
    result = checked("M41", drawn(perceptron(3, "tanh"), 1.0), labelled, CE)
    assert messages(result) == ["WARNING saturated"]
    assert result.findings[0].measured > 0.7


def test_gates_are_no_hidden_sigmoids(labelled, checked) -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(c, 8, 3, padding=1) for c in (3, 8, 8, 8))
            self.gates = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            for conv, gate in zip(self.convs, self.gates, strict=True):
                x = conv(x)
                x = x * torch.sigmoid(x)
                x = x * gate(x.mean((2, 3))).sigmoid()[..., None, None]
            return self.head(x.mean((2, 3))).sigmoid()

    assert checked("M41", Gated(), labelled, CE).status == Status.PASSED


@pytest.mark.parametrize(("depth", "said"), [(20, []), (32, ["INFO default"]), (44, ["WARNING default"])])
def test_deep_without_shortcuts(labelled, checked, messages, depth, said) -> None:
    """DX-068: He et al.'s plain networks get worse with depth; with shortcuts they do not."""
    assert messages(checked("M27", deep_plain(depth), labelled, CE)) == said
    assert checked("M27", Residual(depth - 2), labelled, CE).status == Status.PASSED


def test_depth_is_told(labelled, checked) -> None:
    (finding,) = checked("M27", deep_plain(44), labelled, CE).findings
    assert find_check("M27").pages["en"].message(finding) == (
        "Every way through the network passes at least 44 layers, without a shortcut."
    )
    assert finding.measured == 44


def test_without_norms_less_is_deep(labelled, checked, messages) -> None:
    assert messages(checked("M27", perceptron(24), labelled, CE)) == ["WARNING no_norm"]
    assert checked("M27", perceptron(19), labelled, CE).status == Status.PASSED
