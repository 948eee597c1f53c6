"""A run whose predictions lie on disk, split by split; or predictions of anybody, given by hand."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from snellen.data import DatasetIndex, ImageDataset
from snellen.doctor.check import NotCheckable
from snellen.doctor.words import Text
from snellen.errors import DatasetError
from snellen.evaluation import ImagePrediction, read_predictions
from snellen.metrics import Decision
from snellen.structures import Prediction, Results, Target

__all__ = ["EvaluatedRun", "EvaluatedSplit", "OtherRun", "Pair", "RunFiles", "evaluated_run", "typed_pairs"]

JUDGED = ("test", "val")  # the first that was measured is looked at
Pair = tuple[ImagePrediction, Target]
Found = TypeVar("Found", bound=Prediction)
Wanted = TypeVar("Wanted", bound=Target)
_EVAL = Text(
    en="no predictions of test or validation images lie in the run; `snellen eval RUN` makes them",
    zh="运行中没有测试或验证图像的预测；用 `snellen eval 运行` 生成",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class RunFiles:
    """The folder of a run, as far as its results need it.

    Attributes:
        folder: Predictions lie in ``evaluation/SPLIT`` beneath it.
        index: The data set, with the splits of the run.
        kind: Type of the predictions.
        results: What was measured, by split.
        record: What the run was made with, see ``run.json``.
        options: What can be set of the model, by name, as it is.
        drawn: Splits that were drawn at random from the training images.
        decision: From probabilities to classes, where the run has chosen thresholds.
        name: What the run is called.
    """

    folder: Path
    index: DatasetIndex
    kind: type[Prediction]
    results: Mapping[str, Results]
    record: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    drawn: tuple[str, ...] = ()
    decision: Decision | None = None
    name: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class OtherRun:
    """A run that is compared with the one that is judged."""

    ABSENT = Text(
        en="no other run was named; `snellen check RUN --against OTHER` compares two",
        zh="没有指定另一个运行；`snellen check 运行 --against 另一运行` 可比较两者",
    )

    files: RunFiles


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluatedSplit:
    """Predictions of one split.

    Attributes:
        name: Of the split.
        part: Its images.
        predictions: Makes an iterator over them; ``index`` of each is a row of ``part``.
        truth: Target of a row of ``part``, in the pixels of the file.
        results: What was measured, or None.
    """

    name: str
    part: DatasetIndex
    predictions: Callable[[], Iterable[ImagePrediction]]
    truth: Callable[[int], Target]
    results: Results | None = None

    def pairs(self) -> Iterator[Pair]:
        """Yield each prediction with its truth; maps of many images need not fit into memory at once."""
        for image in self.predictions():
            yield image, self.truth(image.index)


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluatedRun:
    """A run with the predictions of its splits.

    Attributes:
        index: The data set, with the splits of the run.
        kind: Type of the predictions.
        splits: That were measured, by name; at least the judged one.
        judged: Name of the split whose errors are looked at: test, else validation.
        record: See ``RunFiles``.
        options: See ``RunFiles``.
        drawn: See ``RunFiles``.
        decision: See ``RunFiles``.
        name: See ``RunFiles``.
    """

    ABSENT = _EVAL

    index: DatasetIndex
    kind: type[Prediction]
    splits: Mapping[str, EvaluatedSplit]
    judged: str
    record: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    drawn: tuple[str, ...] = ()
    decision: Decision | None = None
    name: str = ""

    @property
    def looked_at(self) -> EvaluatedSplit:
        """The split whose errors are looked at."""
        return self.splits[self.judged]

    def option(self, ending: str) -> tuple[str, Any] | None:
        """Return the full name and the value of the setting whose name ends so; None if the model has none."""
        fitting = [
            name
            for name in self.options
            if (name == ending or name.endswith(f".{ending}")) and not name.startswith("proposals.")
        ]
        if not fitting:
            return None
        name = min(fitting, key=len)  # of the detector, and not of its proposals
        return name, self.options[name]


def evaluated_run(files: RunFiles) -> EvaluatedRun:
    """Return the splits of a run that were measured.

    Raises:
        NotCheckable: If none of validation and test was, or the data have changed since.
    """
    splits = {
        name: _split(files, name)
        for name in files.index.split_names
        if name in files.results and (files.folder / "evaluation" / name / "predictions.jsonl").is_file()
    }
    judged = next((name for name in JUDGED if name in splits), None)
    if judged is None:
        raise NotCheckable(_EVAL)
    for split in splits.values():
        _check_same(split)
    return EvaluatedRun(
        index=files.index,
        kind=files.kind,
        splits=splits,
        judged=judged,
        record=files.record,
        options=files.options,
        drawn=files.drawn,
        decision=files.decision,
        name=files.name,
    )


def _split(files: RunFiles, name: str) -> EvaluatedSplit:
    part = files.index.split(name)
    folder = files.folder / "evaluation" / name
    return EvaluatedSplit(
        name=name,
        part=part,
        predictions=lambda: read_predictions(folder, files.kind),
        truth=ImageDataset(part, masks=bool(files.record.get("masks", False))).truth,
        results=files.results[name],
    )


def _check_same(split: EvaluatedSplit) -> None:
    """Refuse predictions of other images than those that the data set has now."""
    try:
        first = next(iter(split.predictions()), None)
    except DatasetError as error:
        reason = Text(en=f"the predictions cannot be read: {error}", zh=f"无法读取预测：{error}")
        raise NotCheckable(reason) from error
    if first is not None and (first.index >= len(split.part) or split.part.paths[first.index] != first.source):
        raise NotCheckable(
            Text(
                en=f"the predictions of {split.name} are of other images than the data set has now; `snellen eval RUN "
                f"--split {split.name}` makes them anew",
                zh=f"{split.name} 的预测与数据集现有图像不符；用 `snellen eval 运行 --split {split.name}` 重新生成",
            )
        )


def typed_pairs(split: EvaluatedSplit, found: type[Found], wanted: type[Wanted]) -> Iterator[tuple[int, Found, Wanted]]:
    """Yield row, prediction and truth of each image of a split whose types are these."""
    for image, truth in split.pairs():
        if isinstance(image.prediction, found) and isinstance(truth, wanted):
            yield image.index, image.prediction, truth
