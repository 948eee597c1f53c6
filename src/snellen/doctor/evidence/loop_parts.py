"""Parts of somebody's training that only they can hand over: the loader, the augmentation, leave to take time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.data import Transform
from snellen.doctor.words import Text
from snellen.structures import BoxTarget, MaskTarget, Sample, Target

__all__ = ["BoxChange", "Deep", "LabelTransform", "MaskChange", "UserLoader", "label_transform"]

Pixels = NDArray[np.uint8]
BoxChange = Callable[[Pixels, NDArray[np.float32]], tuple[Any, Any]]
MaskChange = Callable[[Pixels, NDArray[np.int64]], tuple[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class UserLoader:
    """What the training loop gets its batches from.

    Attributes:
        batches: A ``DataLoader``, or anything that can be gone through more than once.
    """

    ABSENT: ClassVar[Text] = Text(
        en="the loader is not known; pass loader=, such as a DataLoader", zh="不知道数据加载器；请传入 loader="
    )

    batches: Iterable[Any]


@dataclass(frozen=True, kw_only=True)
class LabelTransform:
    """The augmentation and resizing of training, as functions of an image with its labels.

    Attributes:
        boxes: ``(image, boxes) -> (image, boxes)``: bytes ``[height, width, 3]`` and xyxy in pixels ``[n, 4]``.
        mask: ``(image, mask) -> (image, mask)``: bytes and class numbers ``[height, width]``.
    """

    ABSENT: ClassVar[Text] = Text(
        en="the augmentation is not known; pass box_transform= or mask_transform=, functions of an image and labels",
        zh="不知道数据增强；请传入 box_transform= 或 mask_transform=，即以图像及其标注为参数的函数",
    )

    boxes: BoxChange | None = None
    mask: MaskChange | None = None


@dataclass(frozen=True, kw_only=True)
class Deep:
    """Leave to take minutes instead of seconds."""

    ABSENT: ClassVar[Text] = Text(
        en="it takes a minute or more; ask for it with deep=True (--deep)",
        zh="需要一分钟以上；请用 deep=True（--deep）指定",
    )


def label_transform(transform: Transform, target_type: type[Target]) -> LabelTransform:
    """Return a transform of Snellen's samples as functions of images and labels; every call is another draw."""
    draws = torch.Generator().manual_seed(0)

    def changed(image: Pixels, target: Target) -> Sample:
        sample = Sample(
            image=torch.from_numpy(image).permute(2, 0, 1).contiguous(),  # [3 height width]
            target=target,
            index=0,
            source="probe",
            original_size=(image.shape[0], image.shape[1]),
        )
        return transform(sample, draws)

    def boxes(image: Pixels, given: NDArray[np.float32]) -> tuple[Any, Any]:
        false = torch.zeros(len(given), dtype=torch.bool)
        target = BoxTarget(
            boxes=torch.from_numpy(given),
            labels=torch.zeros(len(given), dtype=torch.int64),
            valid=~false,
            ignored=false,
        )
        sample = changed(image, target)
        after: Any = sample.target
        return sample.image.permute(1, 2, 0).numpy(), after.boxes[after.valid].numpy()  # [height width 3]

    def mask(image: Pixels, given: NDArray[np.int64]) -> tuple[Any, Any]:
        sample = changed(image, MaskTarget(labels=torch.from_numpy(given.astype(np.uint8))))
        after: Any = sample.target
        return sample.image.permute(1, 2, 0).numpy(), after.labels.numpy()  # [height width 3]

    return LabelTransform(
        boxes=boxes if target_type is BoxTarget else None, mask=mask if target_type is MaskTarget else None
    )
