"""From files on disk to samples: reading and writing formats, indexes, splits, images."""

from snellen.data.charts import ChartFaults, ChartSpec, default_chart_spec, draw_chart, write_charts
from snellen.data.dataset import ImageDataset, SampleTransform, draw_generator
from snellen.data.formats import FORMATS, Format, ReadOptions, load, recognised, write
from snellen.data.images import decoded_image, image_size, is_image_name, read_image, read_mask
from snellen.data.index import DataDescription, DatasetIndex, verify
from snellen.data.loading import BatchLoader
from snellen.data.problems import Problem, ProblemLog
from snellen.data.samplers import (
    RepeatFactorSampler,
    Sampler,
    SequentialSampler,
    ShardedSampler,
    ShuffledSampler,
    WeightedSampler,
    class_balanced_weights,
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
from snellen.data.tables import AnnotationTable, BoxTable, ClassTable, MaskTable
from snellen.data.transforms import (
    Compose,
    CopyPaste,
    Mix,
    Mixing,
    MixUp,
    Mosaic,
    Transform,
    evaluation_transform,
    training_transform,
)

__all__ = [
    "FORMATS",
    "AnnotationTable",
    "BatchLoader",
    "BoxTable",
    "ChartFaults",
    "ChartSpec",
    "ClassTable",
    "Compose",
    "CopyPaste",
    "DataDescription",
    "DatasetIndex",
    "Format",
    "ImageDataset",
    "MaskTable",
    "Mix",
    "MixUp",
    "Mixing",
    "Mosaic",
    "Problem",
    "ProblemLog",
    "ReadOptions",
    "RepeatFactorSampler",
    "SampleTransform",
    "Sampler",
    "SequentialSampler",
    "ShardedSampler",
    "ShuffledSampler",
    "Transform",
    "WeightedSampler",
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
    "read_image",
    "read_mask",
    "recognised",
    "repeat_factors",
    "stratified",
    "train_dev_splits",
    "training_transform",
    "verify",
    "with_splits",
    "write",
    "write_charts",
]
