"""Depths of scaled networks."""

__all__ = ["scaled_channels"]

_LEAST_SHARE = 0.9  # of the exact depth that rounding may leave


def scaled_channels(channels: float, *, divisor: int = 8) -> int:
    """Return the multiple of ``divisor`` that is nearest to a depth, not less than nine tenths of it.

    Source:
        ``make_divisible`` of the authors of MobileNet and EfficientNet (https://github.com/tensorflow/models,
        slim/nets/mobilenet/conv_blocks.py).
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < _LEAST_SHARE * channels else rounded
