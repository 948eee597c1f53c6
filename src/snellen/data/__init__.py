"""From files on disk to samples: reading and writing formats, indexes, splits, images.

Transforms are loaded when they are first used: torchvision beneath them takes seconds and 150 MB, which nobody needs
who reads or describes a data set.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from snellen.data.charts import ChartFaults, ChartSpec, default_chart_spec, draw_chart, write_charts
from snellen.data.checking import verify
from snellen.data.dataset import ImageDataset, RegionSource, draw_generator
from snellen.data.formats import FORMATS, TASKS, Format, ReadOptions, load, recognised, task_of, write
from snellen.data.images import decoded_image, image_size, is_image_name, read_image, read_mask
from snellen.data.index import DataDescription, DatasetIndex
from snellen.data.loading import BatchLoader
from snellen.data.outlines import OutlineTable
from snellen.data.problems import Problem, ProblemLog
from snellen.data.proposal_files import FileProposals, read_proposals
from snellen.data.proposals import ProposalStore
from snellen.data.repairs import ObjectRepair, Repairs, repaired
from snellen.data.rescaling import MultiScale
from snellen.data.samplers import (
    OversamplingSampler,
    RepeatFactorSampler,
    Sampler,
    SequentialSampler,
    ShardedSampler,
    ShuffledSampler,
    UndersamplingSampler,
    WeightedSampler,
    class_balanced_weights,
    rarest_classes,
    repeat_factors,
)
from snellen.data.splits import (
    bootstrap,
    ensure_splits,
    k_fold,
    leave_one_out,
    stratified,
    train_dev_splits,
    with_splits,
)
from snellen.data.subsets import balanced_rows, balanced_subsets
from snellen.data.tables import (
    AnnotationTable,
    BoxTable,
    ChangedBoxes,
    ClassTable,
    LabelSetTable,
    MaskTable,
    ValueTable,
)

if TYPE_CHECKING:
    from snellen.data.transforms import (
        Compose,
        CopyPaste,
        Mix,
        Mixing,
        MixUp,
        Mosaic,
        Transform,
        evaluation_transform,
        ssd_transform,
        training_transform,
    )

_TRANSFORMS = frozenset(
    (
        "Compose",
        "CopyPaste",
        "Mix",
        "Mixing",
        "MixUp",
        "Mosaic",
        "Transform",
        "evaluation_transform",
        "ssd_transform",
        "training_transform",
    )
)

__all__ = [
    "FORMATS",
    "TASKS",
    "AnnotationTable",
    "BatchLoader",
    "BoxTable",
    "ChangedBoxes",
    "ChartFaults",
    "ChartSpec",
    "ClassTable",
    "Compose",
    "CopyPaste",
    "DataDescription",
    "DatasetIndex",
    "FileProposals",
    "Format",
    "ImageDataset",
    "LabelSetTable",
    "MaskTable",
    "Mix",
    "MixUp",
    "Mixing",
    "Mosaic",
    "MultiScale",
    "ObjectRepair",
    "OutlineTable",
    "OversamplingSampler",
    "Problem",
    "ProblemLog",
    "ProposalStore",
    "ReadOptions",
    "RegionSource",
    "Repairs",
    "RepeatFactorSampler",
    "Sampler",
    "SequentialSampler",
    "ShardedSampler",
    "ShuffledSampler",
    "Transform",
    "UndersamplingSampler",
    "ValueTable",
    "WeightedSampler",
    "balanced_rows",
    "balanced_subsets",
    "bootstrap",
    "class_balanced_weights",
    "decoded_image",
    "default_chart_spec",
    "draw_chart",
    "draw_generator",
    "ensure_splits",
    "evaluation_transform",
    "image_size",
    "is_image_name",
    "k_fold",
    "leave_one_out",
    "load",
    "rarest_classes",
    "read_image",
    "read_mask",
    "read_proposals",
    "recognised",
    "repaired",
    "repeat_factors",
    "ssd_transform",
    "stratified",
    "task_of",
    "train_dev_splits",
    "training_transform",
    "verify",
    "with_splits",
    "write",
    "write_charts",
]


def __getattr__(name: str) -> Any:
    if name not in _TRANSFORMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("snellen.data.transforms"), name)
    globals()[name] = value
    return value
