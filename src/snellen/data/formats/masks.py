"""Pairs of image and label image of one name: index or palette PNG, grey, colour, lossy black and white.

Layouts: ``images`` with ``masks`` (and the like), also beneath split folders, or with split folders in both;
    ``train`` with
``trainannot``; Pascal VOC's ``JPEGImages`` with ``SegmentationClass``. Names of classes, and a value to
ignore, come from ``snellen.yaml`` (``classes: [...]``, ``ignore_index: 11``), a JSON file (``{"0": "sky"}``
or ``{"sky": 0}``), ``classes.txt`` or ``labels.txt``; a line may end in a colour: ``road 128 64 128``.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snellen.data.formats.files import (
    image_files,
    read_lines,
    relative,
    split_codes,
    split_name,
    subfolders,
    true_sizes,
)
from snellen.data.formats.mask_names import MaskNames, stated_names
from snellen.data.formats.mask_scans import Scan, are_coloured, check_palette, check_two_levels, scanned
from snellen.data.formats.options import ReadOptions
from snellen.data.index import DatasetIndex
from snellen.data.palettes import value_gap
from snellen.data.problems import ProblemLog
from snellen.data.sharing import Strings
from snellen.data.tables import MaskTable, same_shape
from snellen.errors import DatasetError
from snellen.structures import IGNORE_LABEL

__all__ = ["is_masks", "read_masks"]

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "JPEGImages", "leftImg8bit", "input")
MASK_FOLDERS = (
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "annot",
    "SegmentationClass",
    "SegmentationClassPNG",
    "gtFine",
    "gt",
    "target",
)
MASK_SUFFIXES = ("", "_mask", "_label", "_L", "_gt", "-mask", "_seg", "_labelIds", "_gtFine_labelIds")
LOSSY_THRESHOLD = 127  # half of 0..255: compression blurs black and white into everything between
MAX_CLASSES = 255  # labels are bytes, of which one is IGNORE_LABEL


def is_masks(path: Path) -> bool:
    """Return whether a folder holds images and label images in one of the layouts."""
    if not path.is_dir():
        return False
    for images, masks, _ in _places(path):
        stems = {_bare_stem(file) for file in image_files(masks)}
        if any(file.stem in stems for file in image_files(images)):
            return True
    return False


def read_masks(path: Path, options: ReadOptions) -> DatasetIndex:
    """Return the index of images with label images.

    Raises:
        DatasetError: If no pair is found, or the label images hold more values than there can be classes.
    """
    log = ProblemLog()
    pairs = [pair for images, masks, split in _places(path) for pair in _pairs(images, masks, split, path, log)]
    names = stated_names(path, options)
    pairs, sizes = _checked(pairs, log, stretch=names.stretch)
    if not pairs:
        first = next(iter(log.result()), "")
        message = (
            f"images with label images of the same names were expected; no pair was found. {first} Check the layout."
        )
        raise DatasetError(message, file=path)
    coloured = names.coloured or are_coloured([mask for _, mask, _ in pairs])
    palette = _palette(names, options, coloured=coloured)
    scans, readable = scanned([mask for _, mask, _ in pairs], log, coloured=coloured, palette=palette)
    pairs = [pair for pair, good in zip(pairs, readable, strict=True) if good]
    scans = [scan for scan, good in zip(scans, readable, strict=True) if good]
    if not pairs:
        raise DatasetError(f"label images were expected, but none can be read. {next(iter(log.result()))}", file=path)
    known = [scan for scan in scans if scan is not None]
    lossy = next((mask for (_, mask, _), scan in zip(pairs, scans, strict=True) if scan and scan.lossy), None)
    if lossy is not None:
        classes, table = _lossy_table(known, names, options, lossy, log, coloured=coloured, palette=palette)
    else:
        classes, table = _table(known, names, options, path, log, coloured=coloured)
    splits, split_names = split_codes([split for _, _, split in pairs])
    return DatasetIndex(
        root=path,
        format="masks",
        classes=classes,
        paths=Strings.pack([relative(image, path) for image, _, _ in pairs]),
        annotations=replace(
            table,
            paths=Strings.pack([relative(mask, path) for _, mask, _ in pairs]),
            present=_present(scans, table, len(classes)),
            sampled=len(known) < len(scans),
            stretched=names.stretch,
        ),
        sizes=sizes[readable],
        splits=splits,
        split_names=split_names,
        problems=log.result(),
    )


Pair = tuple[Path, Path, str]


def _places(path: Path) -> list[tuple[Path, Path, str]]:
    """Return folders of images, of label images, and the name of their split."""
    folders = {folder.name.lower(): folder for folder in subfolders(path)}
    pairs = []
    for name, folder in folders.items():
        endings = ("annot", "_annot", "_masks", "_labels")
        beside = next((folders[name + end] for end in endings if name + end in folders), None)
        if split_name(name) and beside is not None:
            pairs.append((folder, beside, split_name(name) or ""))
    if pairs:
        return pairs
    homes = [
        (path, ""),
        *((folder, split_name(folder.name) or "") for folder in folders.values() if split_name(folder.name)),
    ]
    for home, split in homes:
        inner = {folder.name.lower(): folder for folder in subfolders(home)}
        images = next((inner[name.lower()] for name in IMAGE_FOLDERS if name.lower() in inner), None)
        masks = next((inner[name.lower()] for name in MASK_FOLDERS if name.lower() in inner), None)
        if images is not None and masks is not None:
            pairs.append((images, masks, split))
    return pairs


def _bare_stem(mask: Path) -> str:
    for suffix in MASK_SUFFIXES[1:]:
        if mask.stem.endswith(suffix):
            return mask.stem.removesuffix(suffix)
    return mask.stem


def _pairs(images: Path, masks: Path, split: str, root: Path, log: ProblemLog) -> list[Pair]:
    of_stem: dict[str, Path] = {}
    for mask in image_files(masks):
        place = mask.parent.relative_to(masks).as_posix()
        of_stem[f"{place}/{mask.stem}"] = mask
        of_stem.setdefault(f"{place}/{_bare_stem(mask)}", mask)
    listed = _listed_splits(root)
    found, used = [], set()
    for image in image_files(images):
        inner = image.parent.relative_to(images)
        partner = of_stem.get(f"{inner.as_posix()}/{image.stem}")
        if partner is None:
            message = f"no label image {image.stem}.* is in {masks}; left out."
            log.add(
                "mask-missing",
                message,
                file=image,
                severity="error",
                fix="draw its mask, or take the image away",
            )
            continue
        used.add(partner)
        own = next((name for name in map(split_name, inner.parts) if name), "")
        found.append((image, partner, split or own or listed.get(image.stem, "")))
    for mask in sorted(set(of_stem.values()) - used):
        log.add(
            "image-missing",
            f"no image {_bare_stem(mask)}.* is in {images}; left out.",
            file=mask,
            severity="error",
        )
    return found


def _listed_splits(root: Path) -> dict[str, str]:
    folder = root / "ImageSets" / "Segmentation"
    names = [name for name in ("train", "val", "test") if (folder / f"{name}.txt").is_file()]
    return {line: name for name in reversed(names) for line in read_lines(folder / f"{name}.txt") if line}


def _checked(pairs: list[Pair], log: ProblemLog, *, stretch: bool) -> tuple[list[Pair], NDArray[np.int32]]:
    """Leave out pairs whose headers cannot be read or whose two pictures have different shapes."""
    sizes, readable = true_sizes([image for image, _, _ in pairs], log)
    mask_sizes, mask_readable = true_sizes([mask for _, mask, _ in pairs], log)
    keep = []
    for row, (image, mask, _) in enumerate(pairs):
        size, found = (tuple(int(side) for side in table[row]) for table in (sizes, mask_sizes))
        if not (readable[row] and mask_readable[row]):
            continue
        stated = f"the mask has {found[1]} x {found[0]} pixels, its image {size[1]} x {size[0]}"
        if not stretch and not same_shape((found[0], found[1]), (size[0], size[1])):
            message = f"{stated}: another aspect, so another picture; left out."
            fix = f"export the mask at the size of {image.name}, or write masks_of_other_shape: stretch in snellen.yaml"
            log.add("mask-shape", message, file=mask, severity="error", fix=fix)
            continue
        if found != size:
            log.add("mask-scaled", f"{stated}; scaled by nearest neighbour when read.", file=mask)
        keep.append(row)
    return [pairs[row] for row in keep], sizes[keep]


def _present(scans: list[Scan | None], table: MaskTable, num_classes: int) -> NDArray[np.bool_]:
    """Return which classes occur in each image; none for images outside of the sample."""
    present = np.zeros((len(scans), num_classes), np.bool_)
    for row, scan in enumerate(scans):
        if scan is not None:
            labels = table.labelled(np.array(sorted(scan.values), np.int32))
            present[row, labels[labels < num_classes]] = True
    return present


def _table(
    scans: list[Scan], names: MaskNames, options: ReadOptions, path: Path, log: ProblemLog, *, coloured: bool
) -> tuple[tuple[str, ...], MaskTable]:
    values = frozenset[int]().union(*(scan.values for scan in scans))
    ignore = names.ignore | ({options.ignore_index} if options.ignore_index is not None else set())
    if not ignore and not coloured and 255 in values and (len(values) > 2 or names.names) and 255 not in names.names:
        ignore = frozenset({255})  # Pascal VOC's void
        log.add("mask-void", "the value 255 is taken as void, as Pascal VOC does.", file=path, severity="note")
    classes, raw = _classes(values - ignore, names, options, path, log, coloured=coloured)
    unknown = sorted(values - ignore - set(raw))
    if unknown:
        message = f"label images hold the values {unknown[:10]}, which name no class; such pixels count for nothing."
        fix = "name them in classes.txt, or give them as ignore_index in snellen.yaml"
        log.add("mask-value-unknown", message, file=path, count=len(unknown), fix=fix)
    nothing = sorted(ignore.union(unknown) - set(raw))  # listed, so that values never seen can be told from them
    numbers = [*range(len(raw)), *[IGNORE_LABEL] * len(nothing)]
    return classes, _lookup([*raw, *nothing], numbers, coloured=coloured)


def _palette(names: MaskNames, options: ReadOptions, *, coloured: bool) -> NDArray[np.int32] | None:
    """Return the values that are stated, those that are ignored included; None where lossy masks mean two classes."""
    stated = set(names.names) or (set() if coloured else set(range(len(options.classes or ()))))
    values = stated | (names.ignore if stated else set())
    if stated and options.ignore_index is not None:
        values |= {options.ignore_index}
    palette = np.array(sorted(values), np.int32)
    are_black_and_white = not coloured and len(stated) <= 2 and value_gap(palette, coloured=False) <= 1
    return None if not stated or are_black_and_white else palette


def _lossy_table(
    scans: list[Scan],
    names: MaskNames,
    options: ReadOptions,
    file: Path,
    log: ProblemLog,
    *,
    coloured: bool,
    palette: NDArray[np.int32] | None,
) -> tuple[tuple[str, ...], MaskTable]:
    """Return classes and table of label images that compression has blurred: the nearest stated value, or a threshold.

    Raises:
        DatasetError: If classes cannot be told apart; names the file.
    """
    count = sum(scan.lossy for scan in scans)
    if coloured or palette is not None:
        stated = [names.names[value] for value in names.names] or list(options.classes or ())
        check_palette(palette, stated, file, coloured=coloured)
        moved = float(np.mean([scan.moved for scan in scans if scan.lossy]))
        message = (
            f"label images are lossy (JPEG, WebP), so values blur; each pixel takes the nearest of the {len(stated)} "
            f"classes, which {moved:.1%} of them in {count} label images did not have."
        )
        log.add("mask-lossy", message, file=file, count=count, fix="save masks as PNG")
        seen = frozenset[int]().union(*(scan.values for scan in scans))
        classes, raw = _classes(seen, names, options, file, log, coloured=coloured)
        nothing = sorted(set(palette.tolist() if palette is not None else ()) - set(raw))
        numbers = [*range(len(raw)), *[IGNORE_LABEL] * len(nothing)]
        return classes, replace(_lookup([*raw, *nothing], numbers, coloured=coloured), nearest=True)
    check_two_levels(scans, file)
    message = (
        f"label images are lossy (JPEG, WebP), so grey levels blur; above {LOSSY_THRESHOLD} is class 1, else class 0."
    )
    log.add("mask-lossy", message, file=file, count=count, fix="save masks as PNG")
    two = tuple(name for _, name in sorted(names.names.items())[:2])
    labels = two if len(two) == 2 else ("background", "foreground")
    return options.classes or labels, replace(_lookup([0, 255], [0, 1], coloured=False), threshold=LOSSY_THRESHOLD)


def _classes(  # what was seen, what is stated, and where to report
    seen: frozenset[int],
    names: MaskNames,
    options: ReadOptions,
    path: Path,
    log: ProblemLog,
    *,
    coloured: bool,
) -> tuple[tuple[str, ...], list[int]]:
    """Return the names of the classes and the raw value of each."""
    if names.names:
        raw = sorted(names.names) if not coloured else list(names.names)
        raw = [value for value in raw if value not in names.ignore and value != options.ignore_index]
        return options.classes or tuple(names.names[value] for value in raw), raw
    if (not coloured and seen <= {0, 255}) or seen <= {0, 1}:
        return options.classes or ("background", "foreground"), [0, 255 if 255 in seen else 1]
    count = len(seen) if coloured else max(seen, default=0) + 1
    if count > MAX_CLASSES:
        message = (
            f"at most {MAX_CLASSES} classes are possible, but label images hold {len(seen)} values up to {max(seen)}."
        )
        raise DatasetError(f"{message} Name the values in classes.txt, or export index PNG.", file=path)
    if options.classes is None:
        message = f"no file names the {count} classes; they are called class_0, class_1, …"
        log.add("classes-unnamed", message, file=path, severity="note", fix="write classes.txt, one name per line")
    raw = sorted(seen) if coloured else list(range(count))
    return options.classes or tuple(f"class_{number}" for number in range(count)), raw


def _lookup(raw: Iterable[int], labels: Iterable[int], *, coloured: bool) -> MaskTable:
    pairs = sorted(zip(raw, labels, strict=True))
    return MaskTable(
        paths=Strings.pack([]),
        values=np.array([value for value, _ in pairs], np.int32),
        labels=np.array([label for _, label in pairs], np.uint8),
        coloured=coloured,
    )
