"""What a caller can tell a reader that the files do not say."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ReadOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Facts about a data set that its files leave open.

    Attributes:
        images: Folder of the image files, where they do not lie beside the annotations.
        classes: Names in label order, where the files give only numbers, or to fix their order.
        ignore_index: Raw value of mask pixels that count for nothing, such as 11 for CamVid.
    """

    images: Path | None = None
    classes: tuple[str, ...] | None = None
    ignore_index: int | None = None
