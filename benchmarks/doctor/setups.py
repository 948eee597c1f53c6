"""Healthy trainings at their first step: model, batch of real images, loss and optimizer, as people write them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SETUPS", "SetUp", "batch_of", "convolutional"]

IMAGENET = (torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))


@dataclass(kw_only=True)
class SetUp:
    """What ``snellen.examine`` is given.

    Attributes:
        model: Any module.
        batch: Whatever the training loop hands it.
        loss: From output and targets to a scalar; None where the model computes it.
        optimizer: Of the loop.
        options: Further keywords of ``examine``.
    """

    model: nn.Module
    batch: Any
    loss: Callable[..., Tensor] | None
    optimizer: torch.optim.Optimizer
    options: Mapping[str, Any]


def picture(path: Path, size: int) -> Tensor:
    with Image.open(path) as image:
        values = np.array(image.convert("RGB").resize((size, size)))
    return torch.from_numpy(values).permute(2, 0, 1).float() / 255


def batch_of(
    folder: Path, size: int, count: int, *, split: str = "train", normalise: bool = True
) -> tuple[Tensor, Tensor]:
    """Return images ``[count, 3, size, size]`` and labels of class folders, drawn in turn from every class."""
    homes = sorted(path for path in (folder / split).iterdir() if path.is_dir())
    rows = [(sorted(home.iterdir()), label) for label, home in enumerate(homes)]
    chosen = [
        (files[place // len(rows)], label) for place in range(count) for files, label in [rows[place % len(rows)]]
    ]
    images = torch.stack([picture(path, size) for path, _ in chosen])
    if normalise:
        images = (images - IMAGENET[0]) / IMAGENET[1]
    return images, torch.tensor([label for _, label in chosen])


def convolutional(classes: int = 10, *, norm: bool = True, width: int = 32) -> nn.Sequential:
    """Return a small network as tutorials write it."""
    layers: list[nn.Module] = []
    depth = 3
    for step in range(3):
        out = width * 2**step
        layers += [nn.Conv2d(depth, out, 3, padding=1, bias=not norm)]
        layers += [nn.BatchNorm2d(out)] if norm else []
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        depth = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(depth, classes))


def sgd(parameters: Iterable[nn.Parameter], lr: float = 0.05) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=5e-4)


def small_classifier(bases: Mapping[str, Path]) -> SetUp:
    torch.manual_seed(0)
    model = convolutional()
    return SetUp(model=model, batch=batch_of(bases["thumbs"], 32, 32), loss=functional.cross_entropy,
                 optimizer=sgd(model.parameters()), options={"num_classes": 10})  # fmt: skip


def resnet(bases: Mapping[str, Path]) -> SetUp:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=2)
    return SetUp(model=model, batch=batch_of(bases["insects"], 96, 16), loss=functional.cross_entropy,
                 optimizer=torch.optim.AdamW(model.parameters(), lr=1e-3), options={"num_classes": 2})  # fmt: skip


class Segmenter(nn.Module):
    """A small encoder and decoder with a skip."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.down1 = nn.Sequential(nn.Conv2d(3, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.down2 = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(24, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48),
                                   nn.ReLU())  # fmt: skip
        self.up = nn.ConvTranspose2d(48, 24, 2, stride=2)
        self.head = nn.Sequential(nn.Conv2d(48, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        fine = self.down1(x)
        return self.head(torch.cat([fine, self.up(self.down2(fine))], 1))


def segmenter(bases: Mapping[str, Path]) -> SetUp:
    torch.manual_seed(0)
    folder = bases["streets"] / "train"
    images, masks = [], []
    for path in sorted((folder / "images").iterdir())[:8]:
        images.append((picture(path, 96) - IMAGENET[0]) / IMAGENET[1])
        with Image.open(folder / "masks" / f"{path.stem}.png") as mask:
            masks.append(torch.from_numpy(np.array(mask.resize((96, 96), Image.Resampling.NEAREST))).long())
    model = Segmenter(11)
    loss = nn.CrossEntropyLoss(ignore_index=255)
    return SetUp(model=model, batch=(torch.stack(images), torch.stack(masks)), loss=loss,
                 optimizer=sgd(model.parameters(), 0.02), options={"num_classes": 11})  # fmt: skip


SETUPS: Mapping[str, Callable[[Mapping[str, Path]], SetUp]] = {
    "small classifier": small_classifier,
    "ResNet-18": resnet,
    "segmenter": segmenter,
}
