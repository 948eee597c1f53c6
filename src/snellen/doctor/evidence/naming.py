"""Images that have no label and labels that have no image, and which of them nearly have the same name."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from snellen.data import BoxTable, DatasetIndex, Problem, is_image_name
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.labels import problems_of
from snellen.doctor.words import Text

__all__ = ["NamedPairs", "named_pairs", "plain_stem"]

LABEL_SUFFIXES = (".txt", ".xml", ".json")
MOST_FILES = 200_000  # that are looked through for near misses


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedPairs:
    """How images and labels found one another by name.

    Attributes:
        images: Images of the data set, those that lack a label among them.
        unlabelled: Images without a label.
        labels: Images that labels are there for, or that labels name.
        orphans: Labels without their image.
        near_misses: Of an image or label that found nothing, and a file whose name differs in case, spaces, ending or
            the marks of a copy; paths relative to the root.
        lonely: Problems that name them one by one.
        takes_as_empty: Whether an image without a label is taken as one without objects.
    """

    images: int
    unlabelled: int
    labels: int
    orphans: int
    near_misses: tuple[tuple[str, str], ...]
    lonely: tuple[Problem, ...]
    takes_as_empty: bool

    @property
    def matched_images(self) -> float:
        """Share of the images that have a label."""
        return 1 - self.unlabelled / self.images

    @property
    def matched_labels(self) -> float:
        """Share of the labels that have an image."""
        return 1 - self.orphans / max(1, self.labels)


def named_pairs(index: DatasetIndex) -> NamedPairs:
    """Count images without labels and labels without images.

    Raises:
        NotCheckable: If labels are no files or entries of their own (class folders).
    """
    if index.format == "folders":
        raise NotCheckable(Text(
            en="an image's folder is its class, so none is without a label",
            zh="图像所在的文件夹就是类别，因此不会缺少标签",
        ))  # fmt: skip
    lacking, unlabelled = problems_of(index, "label-missing", "mask-missing")
    orphaned, orphans = problems_of(index, "image-missing")
    takes_as_empty = index.format == "yolo"
    left_out = 0 if index.format in ("yolo", "csv", "jsonl") else unlabelled
    return NamedPairs(
        images=len(index) + left_out,
        unlabelled=unlabelled,
        labels=len(index) + left_out - unlabelled + orphans,
        orphans=orphans,
        near_misses=_near_misses(index, lacking, orphaned),
        lonely=(*orphaned, *lacking),
        takes_as_empty=takes_as_empty and isinstance(index.annotations, BoxTable),
    )


def plain_stem(name: str) -> str:
    """Return a name without what differs by mistake: case, spaces, ending, marks of a copy."""
    stem = Path(name).name.casefold().strip()
    while is_image_name(stem) or stem.endswith(LABEL_SUFFIXES):
        stem = stem.rpartition(".")[0].strip()
    stem = re.sub(r"\s*(\(\d+\)|[-_ ]copy( \d+)?)$", "", stem)
    return re.sub(r"[\s_-]+", "_", stem).strip("_")


def _near_misses(
    index: DatasetIndex, lacking: Iterable[Problem], orphaned: Iterable[Problem]
) -> tuple[tuple[str, str], ...]:
    """Return pairs of something that found nothing, and a file of nearly its name."""
    images = [(Path(problem.subject or problem.file).name, problem.subject or problem.file) for problem in lacking]
    labels = [(Path(problem.subject or problem.file).name, problem.subject or problem.file) for problem in orphaned]
    if not images and not labels:
        return ()
    by_stem: dict[str, list[str]] = defaultdict(list)
    if images:
        for name, path in labels:
            by_stem[plain_stem(name)].append(path)
    else:  # the labels name images that are nowhere: they may lie there under another name
        for path in _image_names(index.root):
            by_stem[plain_stem(path)].append(path)
    found = []
    for name, path in images or labels:
        partners = by_stem.get(plain_stem(name), ())
        found += [(_relative(path, index), _relative(partner, index)) for partner in partners if partner != path][:1]
    return tuple(found)


def _image_names(root: Path) -> list[str]:
    found = []
    for path in root.rglob("*"):
        if is_image_name(path.name):
            found.append(str(path))
        if len(found) >= MOST_FILES:
            break
    return found


def _relative(path: str, index: DatasetIndex) -> str:
    return path.removeprefix(f"{index.root}/")
