"""The contract between a backbone and whatever stands on it."""

from dataclasses import dataclass

__all__ = ["FeatureSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """One feature map that a backbone offers.

    Attributes:
        name: ``"c1"`` … ``"c5"``: the number is log2 of the stride in a classical backbone.
        channels: Its depth.
        stride: Input pixels per step of the map.
    """

    name: str
    channels: int
    stride: int
