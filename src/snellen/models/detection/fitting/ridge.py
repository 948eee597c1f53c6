"""Ridge regression from a region's features to the object's box.

Shapes: n regions of one image, m objects, d features, K classes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import InputError
from snellen.ops import box_iou, encode_boxes
from snellen.structures import TensorRecord

__all__ = ["BoxExamples", "RidgeBoxes", "RidgeSettings", "fit_ridge_boxes"]

BLOCK_ROWS = 512  # rows that are multiplied at once: a product of few rows only moves the sums through memory


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeSettings:
    """How boxes are regressed; defaults as in Girshick et al. 2014, appendix C.

    Attributes:
        penalty: λ, on the squared weights, the bias among them.
        near_above: Only regions that overlap an object of the class by more learn to reach it (IoU).
        target_norm: Features are scaled so that their norm is this on average; None leaves them as they are.
        memory_bytes: Of the sums. Classes that do not fit in it wait for another pass over the images.
    """

    penalty: float = 1000.0
    near_above: float = 0.6
    target_norm: float | None = 20.0
    memory_bytes: int = 4 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxExamples(TensorRecord):
    """The regions of one image.

    Attributes:
        features: Not scaled.
        boxes: Of the regions, in the pixels of the same canvas as the objects.
        objects: Boxes of the objects worth reaching (without crowds).
        labels: Their classes.
    """

    features: Float[Tensor, "n d"]
    boxes: Float[Tensor, "n 4"]
    objects: Float[Tensor, "m 4"]
    labels: Int64[Tensor, " m"]


class RidgeBoxes(nn.Module):
    """The regressions of all classes as one layer; offsets of zero until they are fitted.

    Args:
        num_classes: K.
        num_features: d.

    Attributes:
        weight: [K, 4, d].
        bias: [K, 4].
        scale: Factor on the features before they are weighted.
        fitted: Whether the buffers hold the result of a fit.
    """

    weight: Float[Tensor, "K 4 d"]
    bias: Float[Tensor, "K 4"]
    scale: Float[Tensor, ""]
    fitted: Bool[Tensor, ""]

    def __init__(self, num_classes: int, num_features: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(num_classes, 4, num_features))
        self.register_buffer("bias", torch.zeros(num_classes, 4))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("fitted", torch.tensor(False))  # noqa: FBT003 - a tensor's value

    def forward(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n K 4"]:
        """Return the offsets (tx, ty, tw, th) from each region for each class, as ``decode_boxes`` takes them."""
        with torch.autocast(features.device.type, enabled=False):
            scaled = features.to(self.weight.dtype) * self.scale
            offsets = functional.linear(scaled, self.weight.flatten(0, 1), self.bias.flatten())
            return offsets.view(len(features), *self.bias.shape)


class RidgeSums:
    """What ridge regression needs to know of any number of rows: sums of products, in float64.

    Args:
        num_features: d; one more is made, constant 1, for the bias.
        device: Where the sums are.
    """

    def __init__(self, num_features: int, device: torch.device | str = "cpu") -> None:
        side = num_features + 1
        self.gram = torch.zeros(side, side, dtype=torch.float64, device=device)
        self.products = torch.zeros(side, 4, dtype=torch.float64, device=device)
        self.total = torch.zeros(4, dtype=torch.float64, device=device)
        self.count = 0
        self._waiting: list[tuple[Tensor, Tensor]] = []
        self._num_waiting = 0

    def add(self, features: Float[Tensor, "n d"], targets: Float[Tensor, "n 4"]) -> None:
        """Add rows."""
        self._waiting.append((features, targets))
        self._num_waiting += len(features)
        if self._num_waiting >= BLOCK_ROWS:
            self.flush()

    def flush(self) -> None:
        """Bring the rows that wait into the sums."""
        if not self._waiting:
            return
        x, y = (torch.cat(part).to(self.gram) for part in zip(*self._waiting, strict=True))
        x = functional.pad(x, (0, 1), value=1.0)
        self.gram.addmm_(x.T, x)
        self.products.addmm_(x.T, y)
        self.total += y.sum(dim=0)
        self.count += len(x)
        self._waiting, self._num_waiting = [], 0

    def solve(self, penalty: float) -> tuple[Float[Tensor, "4 d"], Float[Tensor, " 4"]]:
        """Return weight and bias; zeros if there were no rows.

        Targets are centred, so that a strong penalty leads to the mean offset and not to zero.
        """
        self.flush()
        if self.count == 0:
            return self.products[:-1].T, self.products[-1]
        mean = self.total / self.count
        centred = self.products - self.gram[:, -1:] * mean  # the last column of the Gram matrix is the sum of the rows
        damped = self.gram.clone()
        damped.diagonal().add_(penalty)
        solution = torch.cholesky_solve(centred, torch.linalg.cholesky(damped))
        return solution[:-1].T, solution[-1] + mean


def fit_ridge_boxes(
    examples: Iterable[BoxExamples],
    num_classes: int,
    settings: RidgeSettings | None = None,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[str, int], None] | None = None,
) -> RidgeBoxes:
    """Return a regression of boxes for each class, solved exactly from sums over the images.

    Args:
        examples: The images; it is iterated several times, so a generator will not do.
        num_classes: K.
        settings: Of the regression.
        device: Where the sums are made and solved.
        progress: Is told what is being done and how many images are done.

    Raises:
        InputError: If the examples can be iterated only once, or there are none.

    Source:
        Girshick et al. 2014 (R-CNN), appendix C, https://arxiv.org/abs/1311.2524, and its code,
        rcnn_train_bbox_regressor.m, which also takes a bias as one more feature and penalises it.
        Differs: the code decorrelates the four targets before solving and undoes it afterwards. Ridge regression is
        linear in its targets, so that this cancels; only the centring, which is kept, has an effect.
    """
    settings = settings or RidgeSettings()
    tell = progress or (lambda _what, _done: None)
    if iter(examples) is examples:
        raise InputError(
            "examples must be something that can be iterated several times; got an iterator, which can be once. Pass "
            "a list, or an object whose __iter__ begins anew."
        )
    num_features, norm = _width_and_norm(examples)
    scale = 1.0 if settings.target_norm is None or norm == 0 else settings.target_norm / norm
    result = RidgeBoxes(num_classes, num_features).to(device)
    at_once = max(1, settings.memory_bytes // (8 * (num_features + 1) ** 2))
    for start in range(0, num_classes, at_once):
        labels = range(start, min(start + at_once, num_classes))
        sums = {label: RidgeSums(num_features, device) for label in labels}
        for done, image in enumerate(examples, start=1):
            _add_image(sums, image.to(device), scale, settings.near_above)
            tell(f"boxes of classes {labels[0]} to {labels[-1]}", done)
        for label, each in sums.items():
            weight, bias = each.solve(settings.penalty)
            result.weight[label], result.bias[label] = weight, bias
    result.scale.fill_(scale)
    result.fitted.fill_(value=True)
    return result


def _width_and_norm(examples: Iterable[BoxExamples]) -> tuple[int, float]:
    """Return the number of features and their mean norm."""
    total, count, width = 0.0, 0, None
    for image in examples:
        width = image.features.shape[1]
        total += float(torch.linalg.vector_norm(image.features.float(), dim=1).double().sum())
        count += len(image.features)
    if width is None:
        raise InputError("examples must hold at least one image; got none. Check the training data.")
    return width, total / max(count, 1)


def _add_image(sums: dict[int, RidgeSums], image: BoxExamples, scale: float, near_above: float) -> None:
    if len(image.labels) == 0 or len(image.boxes) == 0:
        return
    features = image.features.float() * scale
    iou = box_iou(image.boxes, image.objects)
    for label in set(image.labels.tolist()) & sums.keys():
        best, index = iou.masked_fill(image.labels != label, -1.0).max(dim=1)
        rows = (best > near_above).nonzero()[:, 0]
        if len(rows):
            sums[label].add(features[rows], encode_boxes(image.objects[index[rows]], image.boxes[rows]))
