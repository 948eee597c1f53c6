"""Predictions on disk, so that an evaluation can be repeated without the model.

Every kind of prediction is written as ``predictions.jsonl``, one line for each image, which
``read_predictions`` reads back; beside it stand files for other tools (see ``stores``).
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from snellen.errors import DatasetError, InputError
from snellen.evaluation.stores import STORES
from snellen.evaluation.storing import ExtraFile, ImagePrediction, Naming
from snellen.structures import Metric, Prediction, Results, Target

__all__ = ["PredictionWriter", "evaluate_predictions", "read_predictions"]

JSONL_NAME = "predictions.jsonl"


class PredictionWriter:
    """Writes predictions into a folder as they come; a context manager.

    Args:
        folder: Is made; files of an earlier run are replaced.
        kind: Type of every prediction.
        naming: For the files that other tools read.

    Raises:
        InputError: If predictions of this type cannot be written.
    """

    def __init__(self, folder: Path | str, kind: type[Prediction], naming: Naming) -> None:
        if kind not in STORES:
            known = ", ".join(known.__name__ for known in STORES)
            raise InputError(f"predictions must be of a type in {known}; got {kind.__name__}. Add a row to STORES.")
        self._folder, self._naming = Path(folder), naming
        self._store = STORES[kind]
        self._lines: IO[str] | None = None
        self._extra: ExtraFile | None = None

    def __enter__(self) -> "PredictionWriter":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lines = (self._folder / JSONL_NAME).open("w", encoding="utf-8")
        self._extra = None if self._store.extra is None else self._store.extra(self._folder, self._naming)
        return self

    def write(self, image: ImagePrediction) -> None:
        """Write one image.

        Raises:
            InputError: If its prediction is of another type or not finite, or the writer is not entered.
        """
        if self._lines is None:
            raise InputError(
                f"expected an open writer; got one outside its with-statement, for {image.source!r}. "
                "Write within: with PredictionWriter(...) as writer."
            )
        head = {"index": image.index, "file": image.source, "height": image.size[0], "width": image.size[1]}
        line = head | self._store.line(image, self._naming, self._folder)
        try:
            text = json.dumps(line, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise InputError(
                f"predictions must be finite numbers; got nan or infinity for {image.source!r}. The model "
                "has diverged; train with a lower learning rate or in float32."
            ) from error
        self._lines.write(text + "\n")
        if self._extra is not None:
            self._extra.write(image)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lines is not None:
            self._lines.close()
            self._lines = None
        if self._extra is not None:
            self._extra.close()


def read_predictions(folder: Path | str, kind: type[Prediction]) -> Iterator[ImagePrediction]:
    """Yield what a ``PredictionWriter`` wrote, in its order.

    Numbers come back bit for bit, except the confidences of maps, which are kept in 16 bits.

    Raises:
        DatasetError: If a file is missing or a line does not fit; names file and line.
    """
    path = Path(folder) / JSONL_NAME
    if not path.is_file():
        raise DatasetError(
            "expected the lines of a PredictionWriter; there is no such file. Predict first, or name its folder.",
            file=path,
        )
    with path.open(encoding="utf-8") as lines:
        for number, text in enumerate(lines, start=1):
            yield _image_prediction(text, kind, path, number)


def _image_prediction(text: str, kind: type[Prediction], path: Path, number: int) -> ImagePrediction:
    try:
        line = json.loads(text)
        return ImagePrediction(
            index=int(line["index"]),
            source=str(line["file"]),
            size=(int(line["height"]), int(line["width"])),
            prediction=STORES[kind].read(line, path.parent),
        )
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DatasetError(
            f"expected a line of {kind.__name__} as PredictionWriter writes it; got one that does not fit "
            f"({type(error).__name__}: {error}). Predict again to write it anew.",
            file=path,
            line=number,
        ) from error


def evaluate_predictions(
    predictions: Iterable[ImagePrediction], truth_of: Callable[[int], Target], metric: Metric
) -> Results:
    """Measure predictions that were made earlier.

    Args:
        predictions: As ``read_predictions`` yields them.
        truth_of: Target of a row of the data set, in the pixels of the original file.
        metric: Is added to.
    """
    for image in predictions:
        metric.update([image.prediction], [truth_of(image.index)], [image.index])
    return metric.result()
