"""Faults of the answers of classifiers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common_answers import perfect, spoiled
from result_bases import Answered, favoured, sure_of, thumbs
from simulated import Chance
from torch import Tensor, nn

from snellen.doctor.evidence.results.parity import RepeatedPredictions, parity_of, prediction_gap
from snellen.structures import ClassScores

DERANGED = (0.2, 0.5, 1.0)  # of the classes
PLACES = (Path(), Path())  # of the data and the scratch folder; the program sets them


def changed(run: Answered, change: Callable[[Tensor], Tensor]) -> Answered:
    """Return a run whose probabilities are changed."""
    return run.answered([(ClassScores(probs=change(found.probs.double()).float()), truth)  # type: ignore[union-attr]
                         for found, truth in run.pairs])  # fmt: skip


def deranged(number: int, share: float, chance: Chance) -> np.ndarray:
    """Return an order in which a share of the places, two at least, hold another entry: a cycle."""
    moved = np.sort(chance.permutation(number)[: max(2, round(share * number))])
    order = np.arange(number)
    order[moved] = np.roll(moved, 1)
    return order


def other_order(run: Answered, severity: int, chance: Chance) -> Answered:
    """Name classes in the order of another list: two, half or all of them stand elsewhere."""
    order = torch.from_numpy(deranged(len(run.index.classes), DERANGED[severity], chance))
    return changed(run, lambda probs: probs[order])


def counted_from_one(run: Answered, severity: int, chance: Chance) -> Answered:
    """Name the next class, the one after that, or all but the last classes."""
    del chance
    if severity < 2:
        return changed(run, lambda probs: probs.roll(severity + 1))
    return changed(run, lambda probs: torch.cat([probs[:1] * 0, probs[:-1]]) + 1e-6)


def exchanged(run: Answered, severity: int, chance: Chance) -> Answered:
    """Exchange two classes for a part of the images, or for all."""
    share = (0.8, 0.9, 1.0)[severity]
    return changed(run, lambda probs: probs.flip(0) if chance.random() < share else probs)


def heated(run: Answered, heat: float) -> Answered:
    return changed(run, lambda probs: torch.softmax(probs.log() / heat, 0))


def too_sure(run: Answered, severity: int, chance: Chance) -> Answered:
    del chance
    return heated(run, 1 / (3.0, 5.0, 8.0)[severity])


def too_unsure(run: Answered, severity: int, chance: Chance) -> Answered:
    del chance
    return heated(run, (2.0, 3.0, 6.0)[severity])


def meaningless(run: Answered, severity: int, chance: Chance) -> Answered:
    """Shuffle the confidence of most answers, or of all; which class is named stays."""
    number = len(run.pairs)
    chosen = np.flatnonzero(chance.random(number) < (0.8, 0.9, 1.0)[severity])
    tops = np.array([float(found.probs.max()) for found, _ in run.pairs])  # type: ignore[union-attr]
    tops[chosen] = tops[chance.permutation(chosen)]
    pairs = [(sure_of(int(found.probs.argmax()), len(found.probs), max(float(top), 0.101)), truth)  # type: ignore[union-attr]
             for (found, truth), top in zip(run.pairs, tops, strict=True)]  # fmt: skip
    return run.answered(pairs)


def threshold(run: Answered, severity: int, chance: Chance) -> Answered:
    """Ask for much more confidence in the rare class than is best."""
    del chance
    offset = (1.0, 2.0, 3.5)[severity]
    return run.answered([(favoured(found, 1, -offset), truth) for found, truth in run.pairs])


def never_named(run: Answered, severity: int, chance: Chance) -> Answered:
    """Never name one class, two, or four."""
    lost = torch.from_numpy(chance.permutation(len(run.index.classes))[: (1, 2, 4)[severity]])
    return changed(run, lambda probs: _rest(probs, lost))


def _rest(probs: Tensor, lost: Tensor) -> Tensor:
    probs = probs.clone()
    probs[lost] = 1e-6
    return probs / probs.sum()


def one_answer(run: Answered, severity: int, chance: Chance) -> Answered:
    """Say the same of most images, or of all."""
    label, share = int(chance.integers(len(run.index.classes))), (0.8, 0.95, 1.0)[severity]
    one = sure_of(label, len(run.index.classes), 0.5).probs.double()
    return changed(run, lambda probs: one if chance.random() < share else probs)


def mixed_up(run: Answered, severity: int, chance: Chance) -> Answered:
    """Exchange two classes in a part of the images of both."""
    first, second = chance.permutation(len(run.index.classes))[:2].tolist()
    share = (0.25, 0.35, 0.45)[severity]

    def change(probs: Tensor) -> Tensor:
        if int(probs.argmax()) in (first, second) and chance.random() < share:
            probs = probs.clone()
            probs[[first, second]] = probs[[second, first]]
        return probs

    return changed(run, change)


def by_heart(run: Answered, severity: int, chance: Chance) -> Answered:
    """Know all training images by heart, and spoil a share of the answers for the others."""
    train = [(perfect(truth, chance), truth) for _, truth in run.splits["train"]]
    share = (0.05, 0.15, 0.3)[severity]
    for name in ("val", "test"):
        run = run.answered([spoiled(found, truth, share, chance) for found, truth in run.splits[name]], name)
    return run.answered(train, "train")


def dark_rows(run: Answered) -> np.ndarray:
    """Return whether each image that is looked at is among the darkest third."""
    if run.facts is None:
        raise ValueError("the files must be known")
    light = run.facts.percentile(50)[run.index.split_rows(run.judged)]
    return np.asarray(light <= np.quantile(light, 1 / 3))


def dark_fail(run: Answered, severity: int, chance: Chance) -> Answered:
    """Spoil answers for dark images."""
    share = (0.35, 0.6, 0.9)[severity]
    return run.answered([spoiled(found, truth, share if dark else 0.0, chance)
                         for (found, truth), dark in zip(run.pairs, dark_rows(run), strict=True)])  # fmt: skip


def wrong_labels(run: Answered, severity: int, chance: Chance) -> Answered:
    """Label images wrongly."""
    number, share = len(run.index.classes), (0.01, 0.02, 0.04)[severity]
    labels: list[np.ndarray] = []
    for _, truth in run.pairs:
        label = int(truth.probs.argmax())  # type: ignore[union-attr]
        is_wrong = chance.random() < share
        labels.append(np.asarray((label + int(chance.integers(1, number))) % number if is_wrong else label))
    return run.labelled(labels, [found for found, _ in run.pairs])


def batch_dependent(run: Answered, severity: int, chance: Chance) -> Answered:
    """Predict with batch norms that go by the batch, in batches of 64, 16 or 4, and hold images alone against it."""
    del chance
    _, model, images = thumbs(*PLACES)
    x, size = torch.from_numpy(images["test"][:64]), (64, 16, 4)[severity]
    with torch.no_grad():
        alone = torch.softmax(model(x)[:, : len(run.index.classes)], 1)
        among = torch.cat([torch.softmax(model.train()(part), 1) for part in x.split(size)])
    model.eval()
    gaps = {f"{row}.png": prediction_gap(ClassScores(probs=one), ClassScores(probs=other))
            for row, (one, other) in enumerate(zip(alone, among, strict=True))}  # fmt: skip
    return replace(run, further=(*run.further, RepeatedPredictions(differences=gaps, num_images=len(gaps))))


def export_differs(run: Answered, severity: int, chance: Chance) -> Answered:
    """Export a model that is fed other images: in a coarser step, with red and blue exchanged, not standardised."""
    del chance
    _, model, images = thumbs(*PLACES)
    batches = [torch.from_numpy(images["test"][start : start + 32]) for start in (0, 32)]
    change = (lambda x: (x * 8).round() / 8, lambda x: x.flip(1), lambda x: x * 0.28 + 0.45)[severity]
    return replace(run, further=(*run.further, parity_of(model, Exported(model, change), batches)))


class Exported(nn.Module):
    def __init__(self, model: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.change = model, change

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(self.change(x))
        return out
