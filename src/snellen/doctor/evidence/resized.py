"""The objects of a data set as the network will see them, once images have their planned size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.data.transforms import max_side_of, short_side_size
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.labels import Objects
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.words import Text

__all__ = ["ResizedObjects", "resized_objects", "resized_scales"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ResizedObjects:
    """Training objects in pixels of the resized image; ``n`` is their number.

    Crowds and difficult ones are left out; so are those of images whose size is not known.

    Attributes:
        rows: Of `Objects`; ``[n]``.
        boxes: xyxy; ``[n, 4]``.
        canvas: Height and width of the resized image; ``[n, 2]``.
    """

    ABSENT = Setup.ABSENT

    rows: NDArray[np.int64]
    boxes: NDArray[np.float32]
    canvas: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.rows)

    @property
    def sides(self) -> NDArray[np.float32]:
        """Width and height, ``[n, 2]``."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    @property
    def extents(self) -> NDArray[np.float32]:
        """Square root of the area, ``[n]``."""
        return np.asarray(np.sqrt(self.sides.prod(1)), np.float32)


def resized_objects(index: DatasetIndex, objects: Objects, setup: Setup) -> ResizedObjects:
    """Return the objects of the training images as a planned training resizes them.

    Raises:
        NotCheckable: If the size is not planned, or no training object is left.
    """
    if setup.image_size is None or setup.resize is None:
        raise NotCheckable(Text(
            en="the size that images are resized to is not known", zh="不知道图像将缩放到的尺寸"
        ))  # fmt: skip
    is_trained = (
        objects.splits == index.split_names.index("train")
        if "train" in index.split_names
        else np.ones(len(objects), np.bool_)
    )
    usable = is_trained & ~objects.is_ignored & (objects.sizes > 0).all(1) & (objects.sides > 0).all(1)
    rows = np.flatnonzero(usable)
    if not len(rows):
        raise NotCheckable(Text(en="no training image has an object", zh="没有含目标的训练图像"))
    scales = resized_scales(objects.sizes[rows], setup.image_size, setup.resize)
    return ResizedObjects(
        rows=rows,
        boxes=(objects.boxes[rows] * np.tile(scales[:, ::-1], 2)).astype(np.float32),
        canvas=(objects.sizes[rows] * scales).astype(np.float32),
    )


def resized_scales(sizes: NDArray[np.int32], image_size: int, resize: str) -> NDArray[np.float64]:
    """Return by how much height and width change, ``[n, 2]``; see ``Setup.resize``."""
    distinct, place = np.unique(sizes, axis=0, return_inverse=True)
    if resize == "square":
        return np.asarray(image_size / sizes.astype(np.float64))
    most = image_size if resize == "letterbox" else max_side_of(image_size)
    scales = [
        np.divide(short_side_size((height, width), short_side=image_size, max_side=most), (height, width))
        for height, width in distinct.tolist()
    ]
    return np.array(scales).reshape(-1, 2)[place.reshape(-1)]
