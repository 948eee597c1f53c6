"""What tables call the things that are learned, by the name of the type of the targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, ValueTarget

__all__ = ["TARGET_WORDS", "TargetWords"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetWords:
    """Words about one type of target.

    Attributes:
        learned: What is learned, in the plural.
        one: The same in the singular.
        counted: What is counted of each in a data set.
        without: Images on which there is none of it.
    """

    learned: str = "classes"
    one: str = "class"
    counted: str
    without: str = "without objects"


TARGET_WORDS: Mapping[str, TargetWords] = MappingProxyType(
    {
        BoxTarget.__name__: TargetWords(counted="Objects."),
        ClassTarget.__name__: TargetWords(counted="Images.", without="without label"),
        LabelSetTarget.__name__: TargetWords(
            counted="Images that show the class; an image can show several.", without="showing no class"
        ),
        MaskTarget.__name__: TargetWords(counted="Images with pixels of the class."),
        ValueTarget.__name__: TargetWords(
            learned="values", one="value", counted="Images whose value is known.", without="without values"
        ),
    }
)
