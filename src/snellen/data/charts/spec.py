"""What a set of charts looks like, and what is wrong with it on purpose."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Literal

from snellen.data.charts.glyphs import ALPHABET, SLOAN_LETTERS
from snellen.errors import InputError
from snellen.structures import BoxTarget, ClassTarget, MaskTarget, Target

__all__ = ["ChartFaults", "ChartSpec", "Split", "default_chart_spec"]

Split = Literal["train", "val", "test"]

_NOT_SHARES = ("box_shift_px", "label_offset", "imbalance", "box_jitter", "test_light_shift")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartFaults:
    """Faults put into the written files; none by default.

    They strike the training split unless said otherwise.

    Attributes:
        label_noise: Share of letters (images, for classification) whose label is another random one.
        label_offset: Added to every label, modulo the number of classes: an off-by-one.
        missing_boxes: Share of letters that are drawn but not annotated.
        box_shift_px: Every box lies this many pixels too far right and down.
        box_jitter: Standard deviation of each edge, as a share of the box's side.
        imbalance: Images of the commonest letter per image of the rarest (all splits); 1 is balanced.
        tiny: Share of letters drawn 4 to 7 pixels high (all splits).
        empty: Share of images without any letter (all splits); not for classification.
        corrupt: Share of image files cut off in the middle.
        exif_rotated: Share of images stored on their side with an EXIF tag that says so.
        test_light_shift: Added to the brightness of test images, -1..1.
        leak: Share of test images that are copies of training images.
    """

    label_noise: float = 0.0
    label_offset: int = 0
    missing_boxes: float = 0.0
    box_shift_px: float = 0.0
    box_jitter: float = 0.0
    imbalance: float = 1.0
    tiny: float = 0.0
    empty: float = 0.0
    corrupt: float = 0.0
    exif_rotated: float = 0.0
    test_light_shift: float = 0.0
    leak: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name not in _NOT_SHARES and not 0 <= value <= 1:
                raise InputError(f"ChartFaults.{entry.name} must be a share from 0 to 1; got {value}.")
        if self.imbalance < 1:
            raise InputError(f"ChartFaults.imbalance must be 1 (balanced) or more; got {self.imbalance}.")
        if self.box_jitter < 0:
            raise InputError(f"ChartFaults.box_jitter must not be negative; got {self.box_jitter}.")
        if not -1 <= self.test_light_shift <= 1:
            raise InputError(f"ChartFaults.test_light_shift must lie in -1..1; got {self.test_light_shift}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartSpec:
    """What a set of charts looks like.

    Attributes:
        letters: The classes, in label order.
        size: Height and width of the images.
        num_letters: Fewest and most letters of an image; fewer are drawn where no room is left.
        letter_height: Smallest and greatest height of an upright letter, in pixels, log-uniform between.
        difficulty: 0 (large contrast, upright, sharp) to 1 (faint, turned, blurred, occluded, cluttered).
        seed: Same seed, same charts.
        faults: What is wrong on purpose.
    """

    letters: str = SLOAN_LETTERS
    size: tuple[int, int] = (192, 192)
    num_letters: tuple[int, int] = (3, 8)
    letter_height: tuple[float, float] = (14.0, 64.0)
    difficulty: float = 0.3
    seed: int = 0
    faults: ChartFaults = field(default_factory=ChartFaults)

    def __post_init__(self) -> None:
        """Check the ranges."""
        unknown = sorted(set(self.letters) - set(ALPHABET))
        if len(self.letters) < 2 or unknown or len(set(self.letters)) != len(self.letters):
            raise InputError(f"ChartSpec.letters must be two or more different letters A-Z; got {self.letters!r}.")
        if not 1 <= self.num_letters[0] <= self.num_letters[1]:
            raise InputError(f"ChartSpec.num_letters must be (fewest, most), from 1 on; got {self.num_letters}.")
        if not 4 <= self.letter_height[0] <= self.letter_height[1]:
            raise InputError(
                f"ChartSpec.letter_height must be (smallest, greatest) in pixels, from 4 on; got {self.letter_height}."
            )
        if min(self.size) < 1.5 * self.letter_height[0] + 4:  # turned, and with a margin
            raise InputError(
                f"ChartSpec.size {self.size} has no room for a letter of {self.letter_height[0]} px; "
                "take larger images or smaller letters."
            )
        if not 0 <= self.difficulty <= 1:
            raise InputError(f"ChartSpec.difficulty must lie in 0..1; got {self.difficulty}.")


# One letter fills most of an image to be classified; the others show several letters, as a chart does.
_DEFAULTS: Mapping[type[Target], ChartSpec] = MappingProxyType(
    {
        BoxTarget: ChartSpec(letter_height=(7.0, 64.0)),  # from what a small detector cannot read to what is easy
        ClassTarget: ChartSpec(size=(64, 64), num_letters=(1, 1), letter_height=(12.0, 48.0)),
        MaskTarget: ChartSpec(size=(128, 128), num_letters=(2, 5), letter_height=(20.0, 56.0)),
    }
)


def default_chart_spec(task: type[Target]) -> ChartSpec:
    """Return charts that a small network learns from scratch within minutes.

    Args:
        task: ``BoxTarget``, ``ClassTarget`` or ``MaskTarget``.
    """
    return _DEFAULTS[task]
