"""What would mend the light of one image, by the thresholds of the checks of light: D18, D25, D26 and D27.

A check judges a data set; here each image is told by itself, for it may come alone. What cannot be told of one image is
not: noise looks like fine texture, and what is blurred has lost what sharpening would have to add.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snellen.doctor.checks.data import colour_cast, degraded_images, low_contrast, uneven_exposure
from snellen.doctor.evidence.picture import PERCENTILES
from snellen.doctor.words import Text

__all__ = ["Advice", "light_advice"]

_LOW, _HIGH = PERCENTILES.index(1), PERCENTILES.index(99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One operation for one image.

    Attributes:
        operation: As `snellen.imaging.Enhancement` reads it; empty where nothing helps.
        check: Code of the check whose threshold decided.
        reason: What was measured, and against what.
    """

    operation: str
    check: str
    reason: Text


def light_advice(record: Any) -> tuple[Advice, ...]:
    """Return operations for an image, in the order in which they are to be applied; none for a healthy one.

    Args:
        record: Of one readable image, as `snellen.doctor.evidence.picture.measured` returns them.
    """
    if record["contrast"] < _least_contrast(record):
        reason = Text(
            en=f"it shows nothing: brightness varies by {record['contrast']:.1f} levels",
            zh=f"没有内容：亮度变化仅 {record['contrast']:.1f} 级",
        )
        return (Advice(operation="", check=degraded_images.CHECK.code, reason=reason),)
    return (*_colour(record), *_light(record), *_detail(record))


def _least_contrast(record: Any) -> float:
    is_extreme = _is_dark(record) or _is_bright(record)
    return degraded_images.BLACK_CONTRAST if is_extreme else degraded_images.BLANK_CONTRAST


def _is_dark(record: Any) -> bool:
    return bool(record["brightness"][_HIGH] < degraded_images.DARK_BELOW)


def _is_bright(record: Any) -> bool:
    return bool(record["brightness"][_LOW] > degraded_images.BRIGHT_ABOVE)


def _colour(record: Any) -> Iterator[Advice]:
    if not record["is_coloured"]:
        return
    tint = colour_cast.agreed_tint(record["white_tint"], record["edge_tint"])
    if np.hypot(*tint) <= colour_cast.CAST:
        return
    red, blue = np.exp(tint).tolist()
    yield Advice(
        operation="neutral_light",
        check=colour_cast.CHECK.code,
        reason=Text(
            en=f"bright places and edges are tinted alike: red {red:.2f}, blue {blue:.2f} times green",
            zh=f"亮处与边缘的色偏一致：红为绿的 {red:.2f} 倍，蓝为绿的 {blue:.2f} 倍",
        ),
    )


def _light(record: Any) -> Iterator[Advice]:
    """Yield the one operation that the range asks for."""
    low, high = (int(record["brightness"][place]) for place in (_LOW, _HIGH))
    clipped = float(record["burnt"] + record["black"])
    if _is_dark(record):
        limit = degraded_images.DARK_BELOW
        reason = Text(
            en=f"dark: the 99th percentile is {high}, below {limit}", zh=f"过暗：第 99 百分位为 {high}，低于 {limit}"
        )
        yield Advice(operation="stretch", check=degraded_images.CHECK.code, reason=reason)
    elif _is_bright(record):
        limit = degraded_images.BRIGHT_ABOVE
        reason = Text(
            en=f"bright: the 1st percentile is {low}, above {limit}", zh=f"过亮：第 1 百分位为 {low}，高于 {limit}"
        )
        yield Advice(operation="stretch", check=degraded_images.CHECK.code, reason=reason)
    elif high - low < low_contrast.RANGE_BELOW:
        is_uneven = record["illumination"] / max(float(record["contrast"]), 1.0) > low_contrast.UNEVEN
        reason = Text(
            en=f"low contrast: {high - low} levels in use, fewer than {low_contrast.RANGE_BELOW}"
            + (", and the light is uneven" if is_uneven else ""),
            zh=f"对比度低：仅用 {high - low} 级，少于 {low_contrast.RANGE_BELOW} 级"
            + ("，且光照不均" if is_uneven else ""),
        )
        operations = low_contrast.LOCAL if is_uneven else ("stretch",)
        yield from (Advice(operation=each, check=low_contrast.CHECK.code, reason=reason) for each in operations)
    elif clipped > uneven_exposure.CLIPPED:
        reason = Text(
            en=f"{clipped:.0%} of the pixels are burnt or black, more than {uneven_exposure.CLIPPED:.0%}",
            zh=f"{clipped:.0%} 的像素过曝或全黑，多于 {uneven_exposure.CLIPPED:.0%}",
        )
        yield Advice(operation="exposure", check=uneven_exposure.CHECK.code, reason=reason)


def _detail(record: Any) -> Iterator[Advice]:
    sharpness = float(record["sharpness"])
    if np.isfinite(sharpness) and sharpness < degraded_images.BLURRED_BELOW and not _is_dark(record):
        reason = Text(
            en=f"blurred: sharpness {sharpness:.2f}, below {degraded_images.BLURRED_BELOW}; what is lost is lost",
            zh=f"模糊：清晰度 {sharpness:.2f}，低于 {degraded_images.BLURRED_BELOW}；丢失的细节无法恢复",
        )
        yield Advice(operation="", check=degraded_images.CHECK.code, reason=reason)
