"""torchvision's and timm's networks, trained by a plain script with the recipe and the epochs of ``classifiers.py``."""

from collections.abc import Callable, Mapping

import numpy as np
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import v2

from accuracy_settings import Budget, rgb
from peer_accuracy import order, train
from snellen.data import DatasetIndex

__all__ = ["PEERS", "peer_accuracy"]

# By Snellen's name: those of ``classifiers.FAMILIES`` that a peer has just so.
PEERS: Mapping[str, Callable[[int], nn.Module]] = {
    "googlenet": lambda count: torchvision.models.googlenet(num_classes=count, aux_logits=True, init_weights=True),
    "resnet18": lambda count: torchvision.models.resnet18(num_classes=count),
    "resnetv2_18": lambda count: timm.create_model("resnetv2_18", num_classes=count),
    "seresnet18": lambda count: timm.create_model("seresnet18", num_classes=count),
    "densenet121": lambda count: torchvision.models.densenet121(num_classes=count),
    "mobilenet_v2": lambda count: torchvision.models.mobilenet_v2(num_classes=count),
    "shufflenet_v2_x1_0": lambda count: torchvision.models.shufflenet_v2_x1_0(num_classes=count),
    "efficientnet_b0": lambda count: torchvision.models.efficientnet_b0(num_classes=count),
    "squeezenet1_1": lambda count: torchvision.models.squeezenet1_1(num_classes=count),
}
AUXILIARY = 0.3  # weight of each of GoogLeNet's further heads; Szegedy et al. 2014, section 5
AT_ONCE = 64  # images to predict


def read(index: DatasetIndex, split: str, size: int) -> tuple[Tensor, Tensor]:
    """Return the images of a split, of one size, and their labels."""
    fit = v2.Compose([v2.Resize(size, antialias=True), v2.CenterCrop(size)])
    rows = index.split_rows(split)
    images = torch.stack([fit(rgb(index.path(int(row)))) for row in rows])
    labels: np.ndarray = index.annotations.labels[rows]  # type: ignore[union-attr]  # one class for each image
    return images, torch.from_numpy(labels).long()


def loss_of(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    said = model(images)
    if isinstance(said, Tensor):
        return functional.cross_entropy(said, labels)
    further = (functional.cross_entropy(each, labels) for each in said[1:] if each is not None)
    return functional.cross_entropy(said[0], labels) + AUXILIARY * sum(further, torch.zeros(()))


def peer_accuracy(name: str, index: DatasetIndex, budget: Budget, seed: int) -> float:
    """Return the accuracy on test images of the peer's network after as many epochs."""
    images, labels = read(index, "train", budget.size)
    torch.manual_seed(seed)
    model = PEERS[name](len(index.classes))
    coin = torch.Generator().manual_seed(seed)

    def ready(chosen: Tensor) -> Tensor:
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        return (chosen / 255 - mean[:, None, None]) / std[:, None, None]

    def batches(epoch: int):
        for rows in order(len(labels), budget.batch, seed, epoch):
            if len(rows) < 2:  # batch norms need more
                continue
            chosen = images[rows]
            if budget.flip:
                mirrored = torch.rand(len(rows), generator=coin) < 0.5
                chosen = torch.where(mirrored[:, None, None, None], chosen.flip(-1), chosen)
            yield ready(chosen), labels[rows]

    steps = len(order(len(labels), budget.batch, 0, 0))
    train(model, lambda batch: loss_of(model, *batch), batches, budget, seed, steps)
    model.eval()
    tested, truth = read(index, "test", budget.size)
    with torch.inference_mode():
        answers = torch.cat([model(ready(part)).argmax(1) for part in tested.split(AT_ONCE)])
    return int((answers == truth).sum()) / len(truth)
