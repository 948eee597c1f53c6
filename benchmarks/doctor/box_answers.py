"""Faults of boxes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from class_answers import dark_rows, deranged
from common_answers import kept_boxes, perfect
from result_bases import Answered
from simulated import Chance, detections_of, jittered

from snellen.ops import box_iou
from snellen.structures import BoxTarget, Detections, Prediction, Target

Boxes = np.ndarray  # n, 4


def by_boxes(run: Answered, change: Callable[[Boxes, tuple[int, int]], Boxes]) -> Answered:
    """Return a run whose boxes are changed, each image's with its height and width."""
    rows = run.index.split_rows(run.judged).tolist()
    pairs: list[tuple[Prediction, Target]] = []
    for row, (found, truth) in zip(rows, run.pairs, strict=True):
        size = tuple(run.index.sizes[row].tolist())
        boxes = change(found.boxes.double().numpy(), size).astype(np.float32)  # type: ignore[union-attr,arg-type]
        pairs.append((replace(found, boxes=torch.from_numpy(boxes)), truth))  # type: ignore[type-var]
    return run.answered(pairs)


def by_image(run: Answered, change: Callable[[Detections, BoxTarget], Detections]) -> Answered:
    return run.answered([(change(found, truth), truth) for found, truth in run.pairs])  # type: ignore[arg-type]


def not_scaled_back(run: Answered, severity: int, chance: Chance) -> Answered:
    """Leave boxes as the network gave them: of a square of 416, of a longer side of 800, or of 1."""
    del chance

    def change(boxes: Boxes, size: tuple[int, int]) -> Boxes:
        height, width = size
        unit = ((width / 416, height / 416), (max(size) / 800,) * 2, (width, height))[severity]
        return boxes / np.array([*unit, *unit])

    return by_boxes(run, change)


def wrong_scale(run: Answered, severity: int, chance: Chance) -> Answered:
    del chance
    return by_boxes(run, lambda boxes, _: boxes * (0.8, 0.5, 2.0)[severity])


def wrong_format(run: Answered, severity: int, chance: Chance) -> Answered:
    """Read as corners what is a corner and a size, or a centre and a size; or the other way round."""
    del chance

    def change(boxes: Boxes, _size: tuple[int, int]) -> Boxes:
        corner, extent = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
        kinds = ((corner, extent), (corner + extent / 2, extent), (corner, corner + boxes[:, 2:]))
        return np.concatenate(kinds[severity], 1)

    return by_boxes(run, change)


def wrong_axes(run: Answered, severity: int, chance: Chance) -> Answered:
    """Mirror boxes from left to right, exchange x and y, or turn the image's upside down."""
    del chance

    def change(boxes: Boxes, size: tuple[int, int]) -> Boxes:
        height, width = size
        left, top, right, bottom = boxes.T
        return np.stack(((width - right, top, width - left, bottom), (top, left, bottom, right),
                         (left, height - bottom, right, height - top))[severity], 1)  # fmt: skip

    return by_boxes(run, change)


def border_left(run: Answered, severity: int, chance: Chance) -> Answered:
    """Leave boxes in the square with borders that the network saw: of 320, 640 or 1,024 pixels."""
    del chance
    side = (320, 640, 1024)[severity]

    def change(boxes: Boxes, size: tuple[int, int]) -> Boxes:
        scale = side / max(size)
        pad = (side - scale * np.array([size[1], size[0]])) / 2
        return boxes * scale + np.tile(pad, 2)

    return by_boxes(run, change)


def moved(run: Answered, severity: int, chance: Chance) -> Answered:
    """Move all boxes by a tenth, a fifth or half of the usual object."""
    del chance
    sides = np.concatenate([(truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(1).sqrt().numpy()  # type: ignore[union-attr]
                            for _, truth in run.pairs])  # fmt: skip
    step = (0.1, 0.2, 0.5)[severity] * float(np.median(sides))
    return by_boxes(run, lambda boxes, _: boxes + step)


def too_large(run: Answered, severity: int, chance: Chance) -> Answered:
    """Enlarge all boxes about their centres."""
    del chance
    more = (0.1, 0.2, 0.35)[severity] / 2

    def change(boxes: Boxes, _size: tuple[int, int]) -> Boxes:
        extent = boxes[:, 2:] - boxes[:, :2]
        return np.concatenate([boxes[:, :2] - more * extent, boxes[:, 2:] + more * extent], 1)

    return by_boxes(run, change)


def loose(run: Answered, severity: int, chance: Chance) -> Answered:
    return by_boxes(run, lambda boxes, _: jittered(boxes, (0.09, 0.13, 0.18)[severity], chance))


def other_order(run: Answered, severity: int, chance: Chance) -> Answered:
    """Name classes in the order of another list: two, half or all of them; or count from one where there are few."""
    number = len(run.index.classes)
    order = (
        np.roll(np.arange(number), severity + 1) if number < 5 else deranged(number, (0.2, 0.5, 1)[severity], chance)
    )
    place = torch.from_numpy(order)
    return by_image(run, lambda found, _: replace(found, labels=place[found.labels]))


def not_suppressed(run: Answered, severity: int, chance: Chance) -> Answered:
    """Give each box one, three or six others beside it, nearly as good."""
    number = (1, 3, 6)[severity]

    def change(found: Detections, _truth: BoxTarget) -> Detections:
        boxes, scores = found.boxes.double().numpy(), found.scores.double().numpy()
        more = jittered(np.tile(boxes, (number, 1)), 0.04, chance)
        return detections_of(
            np.concatenate([boxes, more]),
            np.concatenate([scores, np.tile(scores, number) * chance.uniform(0.8, 1, number * len(scores))]),
            np.tile(found.labels.numpy(), number + 1),
        )

    return by_image(run, change)


def neighbours_lost(run: Answered, severity: int, chance: Chance) -> Answered:
    """Suppress boxes that overlap a better one of their class by 0.3, 0.2 or 0.1."""
    del chance
    limit = (0.3, 0.2, 0.1)[severity]
    options = {**run.options, "selection.nms_iou": limit}
    return replace(by_image(run, lambda found, _: kept_boxes(found, standing(found, limit))), options=options)


def standing(found: Detections, limit: float) -> np.ndarray:
    overlap = box_iou(found.boxes, found.boxes).numpy()
    same = (found.labels[:, None] == found.labels[None]).numpy()
    stays = np.ones(len(found.scores), bool)
    for row in range(len(stays)):
        stays[row] = not (stays[:row] & same[row, :row] & (overlap[row, :row] > limit)).any()
    return stays


def small_missed(run: Answered, severity: int, chance: Chance) -> Answered:
    """Find few of the smallest third of the objects."""
    share = (0.5, 0.75, 1.0)[severity]
    areas = np.concatenate([(truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(1).numpy()  # type: ignore[union-attr]
                            for _, truth in run.pairs])  # fmt: skip
    border = np.quantile(areas, 1 / 3)

    def change(found: Detections, _truth: BoxTarget) -> Detections:
        area = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1).numpy()
        return kept_boxes(found, (area > border) | (chance.random(len(area)) >= share))

    return by_image(run, change)


def class_lost(run: Answered, severity: int, chance: Chance) -> Answered:
    """Find none, or hardly any, of one class."""
    label, share = int(chance.integers(len(run.index.classes))), (0.85, 0.95, 1.0)[severity]
    return by_image(run, lambda found, _: kept_boxes(
        found, (found.labels.numpy() != label) | (chance.random(len(found.labels)) >= share)))  # fmt: skip


def meaningless(run: Answered, severity: int, chance: Chance) -> Answered:
    """Shuffle most scores, make them all alike but for the last digits, or turn them round."""

    def change(found: Detections, _truth: BoxTarget) -> Detections:
        scores = found.scores.double().numpy()
        shuffled = chance.permutation(scores)
        kinds = (shuffled, 0.5 + 1e-3 * chance.random(len(scores)), 1 - scores)
        return detections_of(found.boxes.double().numpy(), kinds[severity], found.labels.numpy())

    return by_image(run, change)


def low_scores(run: Answered, severity: int, chance: Chance) -> Answered:
    del chance
    return by_image(run, lambda found, _: replace(found, scores=found.scores * (0.4, 0.3, 0.2)[severity]))


def own_name(run: Answered, name: str) -> str:
    """Return what a model calls a setting of its selection."""
    named = [key for key in run.options if key.rpartition(".")[2] == name and not key.startswith("proposals.")]
    return min(named, key=len, default=f"selection.{name}")


def cut_off(run: Answered, severity: int, chance: Chance) -> Answered:
    """Keep no more than the eight, five or three best of an image."""
    del chance
    most = (8, 5, 3)[severity]
    options = {**run.options, own_name(run, "max_detections"): most}
    return replace(by_image(run, lambda found, _: kept_boxes(found, np.arange(len(found.scores)) < most)),
                   options=options)  # fmt: skip


def floored(run: Answered, severity: int, chance: Chance) -> Answered:
    del chance
    floor = (0.3, 0.5, 0.7)[severity]
    options = {**run.options, own_name(run, "score_above"): floor}
    return replace(by_image(run, lambda found, _: kept_boxes(found, found.scores.numpy() >= floor)), options=options)


def truths_given(run: Answered, severity: int, chance: Chance) -> Answered:
    """Put the truths of some or of all images among the boxes."""
    share = (0.7, 0.85, 1.0)[severity]

    def change(found: Detections, truth: BoxTarget) -> Detections:
        if chance.random() >= share:
            return found
        chosen = truth.valid & ~truth.ignored
        number = int(chosen.sum())
        return detections_of(
            torch.cat([found.boxes, truth.boxes[chosen]]).numpy(),
            np.concatenate([found.scores.numpy(), chance.uniform(0.9, 1, number)]),
            torch.cat([found.labels, truth.labels[chosen]]).numpy(),
        )

    return by_image(run, change)


def on_nothing(run: Answered, severity: int, chance: Chance) -> Answered:
    """Put sure boxes where nothing is."""
    number = (3, 8, 16)[severity]

    def change(found: Detections, truth: BoxTarget) -> Detections:
        boxes = truth.boxes.double().numpy()
        if not len(boxes):
            return found
        extent = boxes[chance.integers(0, len(boxes), number)]
        far = boxes[:, 2:].max(0) * chance.uniform(0, 1.2, (number, 2))
        wrong = np.concatenate([far, far + (extent[:, 2:] - extent[:, :2])], 1)
        clear = box_iou(torch.from_numpy(wrong), truth.boxes.double()).numpy().max(1) < 0.1
        return detections_of(
            np.concatenate([found.boxes.double().numpy(), wrong[clear]]),
            np.concatenate([found.scores.numpy(), chance.uniform(0.5, 0.99, int(clear.sum()))]),
            np.concatenate(
                [found.labels.numpy(), truth.labels.numpy()[chance.integers(0, len(boxes), int(clear.sum()))]]
            ),
        )

    return by_image(run, change)


def missed(run: Answered, severity: int, chance: Chance) -> Answered:
    """Find fewer objects, whatever they are."""
    share = (0.25, 0.4, 0.6)[severity]
    return by_image(run, lambda found, _: kept_boxes(found, chance.random(len(found.scores)) >= share))


def wrong_class(run: Answered, severity: int, chance: Chance) -> Answered:
    """Name objects by the names of others."""
    number, share = len(run.index.classes), (0.15, 0.3, 0.45)[severity]

    def change(found: Detections, _truth: BoxTarget) -> Detections:
        step = torch.from_numpy(chance.integers(1, number, len(found.labels)))
        is_wrong = torch.from_numpy(chance.random(len(found.labels)) < share)
        return replace(found, labels=torch.where(is_wrong, (found.labels + step) % number, found.labels))

    return by_image(run, change)


def dark_fail(run: Answered, severity: int, chance: Chance) -> Answered:
    share = (0.5, 0.75, 1.0)[severity]
    return run.answered([(kept_boxes(found, chance.random(len(found.scores)) >= share * dark), truth)  # type: ignore[arg-type,union-attr]
                         for (found, truth), dark in zip(run.pairs, dark_rows(run), strict=True)])  # fmt: skip


def wrong_labels(run: Answered, severity: int, chance: Chance) -> Answered:
    """Give objects the names of others, in the truth; what was found is sure of the right one."""
    number, share = len(run.index.classes), (0.05, 0.1, 0.2)[severity]
    labels: list[np.ndarray] = []
    for _, truth in run.pairs:
        now = truth.labels.numpy()  # type: ignore[union-attr]
        is_wrong = chance.random(len(now)) < share
        labels.append(np.where(is_wrong, (now + chance.integers(1, number, len(now))) % number, now))
    return run.labelled(labels, [perfect(truth, chance) for _, truth in run.pairs])
