"""Hand-written networks with one fault each, beside a parameter that mends it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "ACTIVATIONS",
    "Decoder",
    "HandWritten",
    "Residual",
    "deep_plain",
    "flattening",
    "perceptron",
    "set_constant",
]

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


def set_constant(layer: nn.Module, value: float = 0.0) -> None:
    with torch.no_grad():
        layer.weight.fill_(value)
        layer.bias.zero_()


def perceptron(depth: int = 4, activation: str | None = "relu", width: int = 32, inputs: int = 432, *, norm=False):
    """Linear layers in a row; those of `labelled` have 3 × 12 × 12 inputs."""
    torch.manual_seed(0)
    parts: list[nn.Module] = [nn.Flatten()]
    for _ in range(depth - 1):
        parts.append(nn.Linear(inputs, width))
        if norm:
            parts.append(nn.BatchNorm1d(width))
        if activation is not None:
            parts.append(ACTIVATIONS[activation]())
        inputs = width
    return nn.Sequential(*parts, nn.Linear(inputs, 3))


class HandWritten(nn.Module):
    """Two convolutions whose non-linearities stand in ``forward`` only, as functions."""

    def __init__(self, bend=functional.relu, pool=functional.avg_pool2d) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 3)
        self.bend, self.pool = bend, pool

    def forward(self, images: Tensor) -> Tensor:
        x = self.pool(self.bend(self.first(images)), 2)
        return self.head(self.bend(self.second(x)).mean((2, 3)))


class Residual(nn.Module):
    """A tower of convolutions with or without shortcuts."""

    def __init__(self, depth: int, *, shortcuts: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(depth))
        self.head = nn.Linear(4, 3)
        self.shortcuts = shortcuts

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            change = norm(conv(x)).relu_()
            x = x + change if self.shortcuts else change
        return self.head(x.mean((2, 3)))


def deep_plain(depth: int) -> nn.Module:
    return Residual(depth - 2, shortcuts=False)


class Decoder(nn.Module):
    """A map at the size of the image by a transposed convolution, with some convolutions behind it."""

    def __init__(self, kernel: int, stride: int, behind: int = 0) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, stride, stride)
        self.up = nn.ConvTranspose2d(8, 8, kernel, stride)
        self.behind = nn.Sequential(*(nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)) for _ in range(behind)))
        self.head = nn.Conv2d(8, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.behind(self.up(functional.relu(self.down(images))))
        return self.head(functional.relu(x))[..., : images.shape[-2], : images.shape[-1]]


def flattening(side: int = 12, width: int = 512, channels: int = 256) -> nn.Module:
    """A dense layer on a whole map."""
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(channels * side * side, width),
        nn.ReLU(),
        nn.Linear(width, 3),
    )
