"""Small trainings that a fault can be planted in: nets, data, loops."""

import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own abbreviation

from snellen.doctor import watch
from snellen.doctor.watching.watch import Watch

K = 10
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU, "leaky": nn.LeakyReLU,
    "softmax": lambda: nn.Softmax(1), "elu": nn.ELU, "silu": nn.SiLU,
}  # fmt: skip
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p, lr, wd: torch.optim.SGD(p, lr=lr, momentum=0.9, weight_decay=wd),
    "plain": lambda p, lr, wd: torch.optim.SGD(p, lr=lr, weight_decay=wd),
    "adam": lambda p, lr, wd: torch.optim.Adam(p, lr=lr, weight_decay=wd),
    "adamw": lambda p, lr, wd: torch.optim.AdamW(p, lr=lr, weight_decay=wd),
    "adadelta": lambda p, lr, wd: torch.optim.Adadelta(p, lr=lr, weight_decay=wd),
    "rmsprop": lambda p, lr, wd: torch.optim.RMSprop(p, lr=lr, weight_decay=wd),
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A training; what is not said is healthy."""

    net: str
    data: str
    lr: float
    optimizer: str = "sgd"
    images: int = 1500
    batch: int = 32
    steps: int = 300
    planned: int | None = None
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    activation: str = "relu"
    init: str = "default"
    loss: str = "ce"
    clip: float = 0.0
    dropout: float = 0.0
    wrong_labels: float = 0.0
    labels: str = "right"
    keep: float = 1.0  # of the images of the upper half of the classes
    is_shuffled: bool = True
    augment: float = 0.0
    mixup: bool = False
    accumulate: int = 1
    skipped: float = 0.0
    frozen: str = ""
    wait_s: float = 0.0
    norm_momentum: float = 0.1  # of the running statistics of batch norms


class Patches(nn.Module):
    """Images as rows of patches, with a place added to each: what a transformer reads."""

    def __init__(self, channels: int, side: int, patch: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, patch, patch)
        self.places = nn.Parameter(0.02 * torch.randn((side // patch) ** 2, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(x).flatten(2).transpose(1, 2) + self.places


class Mean(nn.Module):
    """The mean over the rows of a transformer."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


class ResidualBlock(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
        )
        self.second = nn.Sequential(nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside))
        self.short = nn.Identity() if stride == 1 else nn.Conv2d(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.short(x) + self.second(self.first(x)))


def net_of(plan: Plan) -> nn.Module:
    act = ACTIVATIONS[plan.activation]
    channels, side = (1, 28) if plan.data == "mnist" else (3, 32)
    drop = [nn.Dropout(plan.dropout)] if plan.dropout else []
    if plan.net.startswith("mlp"):
        layers: list[nn.Module] = [nn.Flatten(), nn.Linear(channels * side * side, 64), act(), *drop]
        for _ in range(int(plan.net[3:] or 2) - 2):
            layers += [nn.Linear(64, 64), act(), *drop]
        return nn.Sequential(*layers, nn.Linear(64, K))
    if plan.net == "resnet8":
        blocks = [ResidualBlock(8, 8, 1), ResidualBlock(8, 16, 2), ResidualBlock(16, 32, 2)]
        stem = nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *drop, nn.Linear(32, K))

    if plan.net == "transformer":
        return nn.Sequential(Patches(channels, side, side // 4, 32), *(nn.TransformerEncoderLayer(
            32, 4, 64, plan.dropout, activation=act(), batch_first=True, norm_first=True) for _ in range(2)),
            nn.LayerNorm(32), Mean(), nn.Linear(32, K))  # fmt: skip
    if plan.net == "strided":
        steps = [(channels, 8), (8, 16), (16, 32)]
        layers = [layer for inside, outside in steps
                  for layer in (nn.Conv2d(inside, outside, 3, 2, 1), nn.GroupNorm(4, outside), act())]  # fmt: skip
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *drop, nn.Linear(32, K))

    def conv(inside: int, outside: int) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(outside)] if plan.net == "cnn_bn" else []
        return [nn.Conv2d(inside, outside, 3, 1, 1), *norm, act(), nn.MaxPool2d(2)]

    return nn.Sequential(
        *conv(channels, 8), *conv(8, 16), *conv(16, 32), nn.Flatten(), *drop, nn.LazyLinear(64), act(), *drop,
        nn.Linear(64, K),
    )  # fmt: skip


def initialised(model: nn.Module, init: str) -> None:
    for module in model.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear) or init == "default":
            continue
        if init.startswith("normal"):
            nn.init.normal_(module.weight, std=float(init[6:]))
        else:
            nn.init.constant_(module.weight, float(init))
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@cache
def arrays(data: str, root: Path, scratch: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training and test images as floats ``[n, channels, side, side]`` about 0, and their labels."""
    if data == "mnist":
        found = np.load(root / "mnist" / "mnist_subset.npz")
        parts = [found[name] for name in ("train_x", "train_y", "test_x", "test_y")]
        parts[0], parts[2] = parts[0][:, None], parts[2][:, None]
    else:
        cached = scratch / "cifar.npz"
        if not cached.is_file():
            np.savez(cached, **decoded(root / "cifar10" / "cifar10_subset.tar.xz", scratch / "cifar10"))
        found = np.load(cached)
        parts = [found[name] for name in ("train_x", "train_y", "test_x", "test_y")]
    order = [np.random.default_rng(7).permutation(len(parts[place])) for place in (0, 2)]
    train, test = parts[0][order[0]], parts[2][order[1]]
    scale = lambda x: (x.astype(np.float32) / 255 - 0.45) / 0.28  # noqa: E731
    return scale(train[:6000]), parts[1][order[0]][:6000], scale(test[:1000]), parts[3][order[1]][:1000]


def decoded(archive: Path, folder: Path) -> dict[str, np.ndarray]:
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    found: dict[str, np.ndarray] = {}
    for split in ("train", "test"):
        files = sorted((folder / split).glob("*/*.jpg")) or sorted((folder / split).glob("*/*.png"))
        classes = sorted({path.parent.name for path in files})
        found[f"{split}_x"] = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in files]).transpose(
            0, 3, 1, 2
        )
        found[f"{split}_y"] = np.array([classes.index(path.parent.name) for path in files])
    return found


def rate(plan: Plan, step: int) -> float:
    """Return what the peak rate is multiplied by."""
    share = step / plan.steps
    return {
        "constant": lambda: 1.0,
        "cosine": lambda: 0.5 * (1 + cos(pi * share)),
        "warm-up": lambda: min(1.0, share / 0.1) * 0.5 * (1 + cos(pi * share)),
        "steps": lambda: 0.1 ** ((share > 0.5) + (share > 0.75)),
        "cyclic": lambda: 0.2 + 0.8 * abs((6 * share) % 2 - 1),
        "zero": lambda: 0.0,
        "gone": lambda: 0.5 ** max(0, step - plan.steps // 20),
        "gone late": lambda: 0.5 ** max(0, step - plan.steps // 5),
        "warm-up that never ends": lambda: 1e-3 * (step + 1) / plan.steps,
    }[plan.schedule]()


def loss_of(plan: Plan, scores: Tensor, labels: Tensor) -> Tensor:
    if plan.loss == "mse":
        return F.mse_loss(scores, F.one_hot(labels, K).float())
    if plan.loss == "sum":
        return F.cross_entropy(scores, labels, reduction="sum")
    if plan.loss == "log":
        return -torch.log(torch.relu(scores.gather(1, labels[:, None]))).mean()
    if plan.loss == "focal":
        each = F.cross_entropy(scores, labels, reduction="none")
        return ((1 - torch.exp(-each)) ** 2 * each).mean()
    smoothing = float(plan.loss[6:]) if plan.loss.startswith("smooth") else 0.0
    loss = F.cross_entropy(scores, labels, label_smoothing=smoothing)
    return loss - 5.0 if plan.loss == "below zero" else loss


def planted(plan: Plan, x: np.ndarray, y: np.ndarray, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    y = y.astype(np.int64)
    kept = np.flatnonzero((y < K // 2) | (random.random(len(y)) < plan.keep))[: plan.images]
    x, y = x[kept], y[kept].copy()
    is_wrong = random.random(len(y)) < plan.wrong_labels
    y[is_wrong] = random.integers(0, K, int(is_wrong.sum()))
    if plan.labels == "constant":
        y[:] = 3
    if not plan.is_shuffled:
        order = np.argsort(y, kind="stable")
        x, y = x[order], y[order]
    return torch.from_numpy(x), torch.from_numpy(y)


def batches(plan: Plan, x: Tensor, y: Tensor, random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        order = torch.randperm(len(x), generator=random) if plan.is_shuffled else torch.arange(len(x))
        for chosen in order.split(min(plan.batch, len(x))):
            if len(chosen) == min(plan.batch, len(x)):
                images = x[chosen]
                if plan.augment:
                    shift = torch.randint(-4, 5, (2,), generator=random).tolist()
                    images = torch.roll(images, shift, (2, 3))
                    images = images + plan.augment * torch.randn(images.shape, generator=random)
                if plan.wait_s:
                    time.sleep(plan.wait_s)
                yield images, y[chosen]


def begun(
    plan: Plan, seed: int, root: Path, scratch: Path
) -> tuple[nn.Module, torch.optim.Optimizer, Iterator[tuple[Tensor, Tensor]]]:
    """Return the model and the optimizer before their first step, and the batches."""
    random = np.random.default_rng([seed, 1])
    train_x, train_y, _, _ = arrays(plan.data, root, scratch)
    x, y = planted(plan, train_x, train_y, random)
    torch.manual_seed(seed)
    model = net_of(plan)
    model(x[:2])
    initialised(model, plan.init)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = plan.norm_momentum
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    if plan.frozen == "half":
        for parameter in weights[: len(weights) // 2]:
            parameter.requires_grad = False
    optimizer = OPTIMIZERS[plan.optimizer](model.parameters(), plan.lr, plan.weight_decay)
    return model, optimizer, batches(plan, x, y, torch.Generator().manual_seed(seed + 1000))


def trained(plan: Plan, seed: int, root: Path, scratch: Path, folder: Path | None = None) -> tuple[Watch, float]:
    """Train as planned; return what watched it and the accuracy on test images."""
    _, _, test_x, test_y = arrays(plan.data, root, scratch)
    held_x, held_y = torch.from_numpy(test_x), torch.from_numpy(test_y.astype(np.int64))
    model, optimizer, source = begun(plan, seed, root, scratch)
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    draws = torch.Generator().manual_seed(seed)
    held = [parameter.detach().clone() for parameter in weights[:-1]] if plan.frozen == "written back" else []
    every = max(1, plan.steps // 12)
    accuracy = 0.0
    with watch(
        model, optimizer, planned_steps=plan.planned or plan.steps, every=10, folder=folder, on_finding=lambda *_: None
    ) as doctor:
        for step in range(plan.steps):
            optimizer.param_groups[0]["lr"] = plan.lr * rate(plan, step)
            optimizer.zero_grad()
            for _ in range(plan.accumulate + int(float(torch.rand((), generator=draws)) < plan.skipped)):
                loss = one_loss(plan, model, *next(source), draws)
                (loss / plan.accumulate).backward()
            if plan.clip:
                nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
            optimizer.step()
            with torch.no_grad():
                for parameter, value in zip(weights, held, strict=False):
                    parameter.copy_(value)
            doctor.observe(loss)
            if (step + 1) % every == 0 or step + 1 == plan.steps:
                accuracy = validated(plan, model, held_x, held_y, doctor)
    return doctor, accuracy


def one_loss(plan: Plan, model: nn.Module, images: Tensor, labels: Tensor, draws: torch.Generator) -> Tensor:
    if not plan.mixup:
        return loss_of(plan, model(images), labels)
    share, order = float(torch.rand((), generator=draws)), torch.randperm(len(images), generator=draws)
    scores = model(share * images + (1 - share) * images[order])
    return share * loss_of(plan, scores, labels) + (1 - share) * loss_of(plan, scores, labels[order])


def validated(plan: Plan, model: nn.Module, x: Tensor, y: Tensor, doctor: Watch) -> float:
    model.eval()
    with torch.no_grad():
        scores = model(x)
        accuracy = float((scores.argmax(1) == y).float().mean())
        doctor.validated(loss=loss_of(plan, scores, y), accuracy=accuracy)
    model.train()
    return accuracy
