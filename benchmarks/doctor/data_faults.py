"""The faults of data sets: each changes a copy of a healthy folder in one way, at one of three severities.

Ported from DeepCrime's operators on training data (TCL, TRD, TUD, TAN, TCO, VRM), from the root causes that users
report (numbers), from the diagnoses of the field (DX), and from what Snellen's checks are about. The codes that a row
expects name the checks that may be called the right cause.
"""

from dataclasses import dataclass

import box_faults
import class_faults
import image_faults
import mask_faults
from bases import Kind
from planting import Change

__all__ = ["FAULTS", "DataFault"]

ALL: tuple[Kind, ...] = ("classification", "detection", "segmentation")
CLASSES: tuple[Kind, ...] = ("classification",)
BOXES: tuple[Kind, ...] = ("detection",)
MASKS: tuple[Kind, ...] = ("segmentation",)


@dataclass(frozen=True, kw_only=True)
class DataFault:
    """One way to break a data set.

    Attributes:
        name: Of the fault.
        origin: DeepCrime's operator, or the number of the root cause in users' reports, or ``own``.
        kinds: Of data sets that it can break.
        codes: Checks of which any is the right cause.
        change: ``(folder, severity 0..2, chance)``: breaks the folder in place.
        is_looked_at_long: Whether it is looked for with ``--deep`` and weights, as single boxes that are wrong are.
    """

    name: str
    origin: str
    kinds: tuple[Kind, ...]
    codes: tuple[str, ...]
    change: Change
    is_looked_at_long: bool = False


FAULTS: tuple[DataFault, ...] = (
    DataFault(name="image cut off", origin="own", kinds=ALL, codes=("D1",), change=image_faults.cut_off),
    DataFault(name="no image in the file", origin="own", kinds=ALL, codes=("D1",), change=image_faults.no_image),
    DataFault(
        name="copies in training", origin="own", kinds=ALL, codes=("D10", "D33"), change=image_faults.copied_within
    ),
    DataFault(name="leak, exact", origin="15", kinds=ALL, codes=("D11",), change=image_faults.leaked),
    DataFault(
        name="leak, recompressed", origin="15", kinds=ALL, codes=("D11",), change=image_faults.leaked_recompressed
    ),
    DataFault(name="leak, mirrored", origin="15", kinds=CLASSES, codes=("D11",), change=image_faults.mirrored_twin),
    DataFault(
        name="test images darker", origin="DX-025", kinds=ALL, codes=("D20", "D18"), change=image_faults.darkened_test
    ),
    DataFault(
        name="test images tinted", origin="DX-033", kinds=ALL, codes=("D20", "D25"), change=image_faults.tinted_test
    ),
    DataFault(name="dark images", origin="DX-035", kinds=ALL, codes=("D18", "D20"), change=image_faults.darkened),
    DataFault(name="blurred images", origin="DX-024", kinds=ALL, codes=("D18", "D20"), change=image_faults.blurred),
    DataFault(name="noise in training", origin="TAN", kinds=ALL, codes=("D20", "D18"), change=image_faults.noisy_train),
    DataFault(name="grey among colour", origin="own", kinds=ALL, codes=("D9",), change=image_faults.half_grey),
    DataFault(
        name="turned, labels not", origin="9", kinds=BOXES, codes=("D2",), change=image_faults.turned_on_one_side
    ),
    DataFault(
        name="pixels scrambled", origin="DX-010", kinds=CLASSES, codes=("D28",), change=image_faults.scrambled_pixels
    ),
    DataFault(
        name="brightness gives the class away", origin="own", kinds=CLASSES, codes=("D21",), change=image_faults.branded
    ),
    DataFault(name="wrong classes", origin="TCL", kinds=CLASSES, codes=("D16", "D35"), change=class_faults.relabelled),
    DataFault(
        name="pairing lost",
        origin="DX-013",
        kinds=CLASSES,
        codes=("D24", "D16", "D35"),
        change=class_faults.pairing_lost,
    ),
    DataFault(name="few images", origin="TRD", kinds=CLASSES, codes=("D14", "D29"), change=class_faults.thinned),
    DataFault(name="unbalanced", origin="TUD", kinds=CLASSES, codes=("D13", "D14"), change=class_faults.unbalanced),
    DataFault(
        name="overlapping classes", origin="TCO", kinds=CLASSES, codes=("D15", "D10"), change=class_faults.two_labels
    ),
    DataFault(name="one class, two names", origin="7", kinds=CLASSES, codes=("D5",), change=class_faults.name_variants),
    DataFault(
        name="class not validated", origin="own", kinds=CLASSES, codes=("D12",), change=class_faults.class_not_validated
    ),
    DataFault(
        name="copied before the split",
        origin="DX-003",
        kinds=CLASSES,
        codes=("D33", "D11"),
        change=class_faults.copied_before_split,
    ),
    DataFault(
        name="nothing to validate by", origin="VRM", kinds=CLASSES, codes=("D40", "D14"), change=class_faults.unsplit
    ),
    DataFault(
        name="box without area",
        origin="1",
        kinds=BOXES,
        codes=("D7",),
        change=box_faults.boxes_changed(box_faults.no_area, (0.01, 0.05, 0.2)),
    ),
    DataFault(
        name="box outside",
        origin="own",
        kinds=BOXES,
        codes=("D7",),
        change=box_faults.boxes_changed(box_faults.outside, (0.01, 0.05, 0.2)),
    ),
    DataFault(
        name="box shifted",
        origin="own",
        kinds=BOXES,
        codes=("D17",),
        change=box_faults.boxes_changed(box_faults.shifted, (0.1, 0.2, 0.5)),
        is_looked_at_long=True,
    ),
    DataFault(
        name="not a number",
        origin="own",
        kinds=BOXES,
        codes=("D4",),
        change=box_faults.boxes_changed(box_faults.not_a_number, (0.01, 0.05, 0.2)),
    ),
    DataFault(
        name="corners for sizes",
        origin="8",
        kinds=BOXES,
        codes=("D6",),
        change=box_faults.boxes_changed(box_faults.as_corners, (1, 1, 1)),
    ),
    DataFault(
        name="centres for corners",
        origin="8",
        kinds=BOXES,
        codes=("D6",),
        change=box_faults.boxes_changed(box_faults.as_centres, (1, 1, 1)),
    ),
    DataFault(
        name="shares for pixels",
        origin="8",
        kinds=BOXES,
        codes=("D6", "D7"),
        change=box_faults.boxes_changed(box_faults.as_shares, (1, 1, 1)),
    ),
    DataFault(name="corners in YOLO", origin="8", kinds=BOXES, codes=("D6",), change=box_faults.yolo_corners),
    DataFault(
        name="unknown class",
        origin="6",
        kinds=BOXES,
        codes=("D4", "D5"),
        change=box_faults.boxes_changed(box_faults.strange_class, (0.01, 0.05, 0.2)),
    ),
    DataFault(name="objects twice", origin="own", kinds=BOXES, codes=("D7",), change=box_faults.twice),
    DataFault(
        name="wrong class of objects",
        origin="TCL",
        kinds=BOXES,
        codes=("D17", "D16"),
        change=box_faults.other_class,
        is_looked_at_long=True,
    ),
    DataFault(
        name="missing objects",
        origin="own",
        kinds=BOXES,
        codes=("D17", "D38"),
        change=box_faults.missing,
        is_looked_at_long=True,
    ),
    DataFault(
        name="spurious objects",
        origin="own",
        kinds=BOXES,
        codes=("D17",),
        change=box_faults.spurious,
        is_looked_at_long=True,
    ),
    DataFault(name="boxes swapped", origin="DX-013", kinds=BOXES, codes=("D41",), change=box_faults.boxes_swapped),
    DataFault(
        name="class not validated, boxes", origin="own", kinds=BOXES, codes=("D12",), change=box_faults.class_lost
    ),
    DataFault(name="rare class", origin="TUD", kinds=BOXES, codes=("D13", "D14"), change=box_faults.rare_class),
    DataFault(name="label file cut off", origin="own", kinds=BOXES, codes=("D4",), change=box_faults.truncated_labels),
    DataFault(
        name="images not where labels say",
        origin="5",
        kinds=BOXES,
        codes=("D1", "D3", "D4"),
        change=box_faults.lost_images,
    ),
    DataFault(name="labels start at 1", origin="6", kinds=BOXES, codes=("D5",), change=box_faults.from_one),
    DataFault(name="label files misnamed", origin="5", kinds=BOXES, codes=("D3",), change=box_faults.labels_misnamed),
    DataFault(
        name="smoothed masks",
        origin="13",
        kinds=MASKS,
        codes=("D8",),
        change=mask_faults.mask_changed(mask_faults.smoothed, (0.1, 0.4, 1)),
    ),
    DataFault(
        name="mask values beyond",
        origin="13",
        kinds=MASKS,
        codes=("D8", "D5"),
        change=mask_faults.mask_changed(mask_faults.beyond, (0.1, 0.4, 1)),
    ),
    DataFault(
        name="mask of another shape",
        origin="13",
        kinds=MASKS,
        codes=("D8",),
        change=mask_faults.mask_changed(mask_faults.other_shape, (0.1, 0.4, 1)),
    ),
    DataFault(name="masks swapped", origin="DX-013", kinds=MASKS, codes=("D41",), change=mask_faults.masks_swapped),
    DataFault(name="masks lost", origin="5", kinds=MASKS, codes=("D3",), change=mask_faults.masks_lost),
)
