"""Models that resize images by themselves, told to make them smaller where the answer does not depend on their size."""

from torch import nn

__all__ = ["MOST_PX", "take_smaller"]

MOST_PX = 400  # shorter side; half of what torchvision's detectors make of any image, and a quarter of the time


def take_smaller(model: nn.Module) -> None:
    """Let parts that resize images and their targets take a shorter side of at most 400 px; only inside `untouched`.

    Such parts have ``min_size``, one or several, and ``max_size``, as torchvision's ``GeneralizedRCNNTransform`` has,
    which moves boxes, masks and key points along. Images that come in the size in which they are used stay as they
    are.
    """
    for module in model.modules():
        shorter, longer = getattr(module, "min_size", None), getattr(module, "max_size", None)
        sizes = shorter if isinstance(shorter, list | tuple) else (shorter,)
        if not isinstance(longer, int) or not all(isinstance(size, int) and size > 0 for size in sizes):
            continue
        share = MOST_PX / max(sizes)
        if share < 1:
            smaller = tuple(max(1, round(size * share)) for size in sizes)
            module.min_size = smaller if isinstance(shorter, list | tuple) else smaller[0]  # type: ignore[assignment]
            module.max_size = max(1, round(longer * share))
