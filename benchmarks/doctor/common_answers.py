"""Faults of results of any kind: other images, other splits, leaks, too few of them."""

from dataclasses import replace

import numpy as np
from result_bases import RECORD, Answered, sure_of
from simulated import Chance, detections_of, filled, jittered

from snellen.data.sharing import Strings
from snellen.doctor.evidence.results.evaluated import RunFiles
from snellen.structures import BoxTarget, ClassTarget, Detections, MaskTarget, Prediction, SegmentationMap, Target


def of_other_images(run: Answered, severity: int, chance: Chance) -> Answered:
    """Give each image the answer of the next, of the third next, or of any."""
    number = len(run.pairs)
    order = chance.permutation(number) if severity == 2 else np.roll(np.arange(number), (1, 3)[severity])
    sizes = [found.labels.shape if isinstance(found, SegmentationMap) else () for found, _ in run.pairs]
    fits = [sizes[other] == sizes[row] for row, other in enumerate(order.tolist())]
    return run.answered([(run.pairs[other if fit else row][0], run.pairs[row][1])
                         for row, (other, fit) in enumerate(zip(order.tolist(), fits, strict=True))])  # fmt: skip


def other_figure(run: Answered, severity: int, chance: Chance) -> Answered:
    """Write down the figure of validation, or one that is half a point, or three points, too high."""
    del chance
    own = run.figure()
    others = [run.figure(name) for name in run.splits if name != run.judged]
    return replace(run, written={run.judged: (others[0] if others else own + 0.01, own + 0.005, own + 0.03)[severity]})


def tuned_on_validation(run: Answered, severity: int, chance: Chance) -> Answered:
    """Spoil a share of the answers for the images that were not tuned on."""
    return run.answered([spoiled(found, truth, (0.1, 0.2, 0.35)[severity], chance) for found, truth in run.pairs])


def spoiled(found: Prediction, truth: Target, share: float, chance: Chance) -> tuple[Prediction, Target]:
    if isinstance(found, Detections):
        stays = chance.random(len(found.scores)) > share
        return kept_boxes(found, stays), truth
    if chance.random() > share:
        return found, truth
    probs = found.probs.clone()  # type: ignore[union-attr]
    first, second = probs.argsort(descending=True)[:2].tolist()
    probs[[first, second]] = probs[[second, first]]
    return type(found)(probs=probs), truth  # type: ignore[call-arg]


def kept_boxes(found: Detections, stays: np.ndarray) -> Detections:
    chosen = np.flatnonzero(stays)
    return Detections(boxes=found.boxes[chosen], scores=found.scores[chosen], labels=found.labels[chosen])


def perfect(truth: Target, chance: Chance) -> Prediction:
    """Return what somebody says who knows the image by heart."""
    if isinstance(truth, ClassTarget):
        return sure_of(int(truth.probs.argmax()), len(truth.probs), float(chance.uniform(0.9, 0.995)))
    if isinstance(truth, MaskTarget):
        labels = truth.labels.new_tensor(filled(truth.labels.numpy()))
        return SegmentationMap(labels=labels, confidence=labels.new_full(labels.shape, 1).float())
    if not isinstance(truth, BoxTarget):
        raise TypeError(type(truth))
    chosen = (truth.valid & ~truth.ignored).numpy()
    boxes = truth.boxes.numpy().astype(np.float64)[chosen]
    return detections_of(jittered(boxes, 0.01, chance), chance.uniform(0.9, 0.99, len(boxes)),
                         truth.labels.numpy()[chosen])  # fmt: skip


def by_heart(run: Answered, rows: np.ndarray, chance: Chance) -> Answered:
    known = set(rows.tolist())
    return run.answered([(perfect(truth, chance) if row in known else found, truth)
                         for row, (found, truth) in enumerate(run.pairs)])  # fmt: skip


def leaked(run: Answered, severity: int, chance: Chance) -> Answered:
    """Measure files that were trained on, which are known by heart."""
    test, train = run.index.split_rows(run.judged), run.index.split_rows("train")
    number = max(1, round((0.03, 0.15, 0.5)[severity] * len(test)))
    rows = np.sort(chance.permutation(len(test))[:number])
    paths = list(run.index.paths)
    for place, row in enumerate(rows.tolist()):
        paths[test[row]] = paths[train[place % len(train)]]
    return by_heart(replace(run, index=replace(run.index, paths=Strings.pack(paths))), rows, chance)


def copied(run: Answered, severity: int, chance: Chance) -> Answered:
    """Measure copies of images that were trained on, under other names."""
    if run.facts is None:
        raise ValueError("the files must be known")
    test, train = run.index.split_rows(run.judged), run.index.split_rows("train")
    number = max(5, round((0.1, 0.2, 0.5)[severity] * len(test)))
    rows = np.sort(chance.permutation(len(test))[:number])
    hashes, pixels = run.facts.file_hash.copy(), run.facts.pixel_hash.copy()
    hashes[test[rows]], pixels[test[rows]] = hashes[train[:number]], pixels[train[:number]]
    return by_heart(replace(run, facts=replace(run.facts, file_hash=hashes, pixel_hash=pixels)), rows, chance)


def few_images(run: Answered, severity: int, chance: Chance) -> Answered:
    """Measure on 60, 40 or 20 images."""
    return cut_to(run, (60, 40, 20)[severity] / len(run.pairs), chance)


def cut_to(run: Answered, share: float, chance: Chance) -> Answered:
    """Return a run that is measured on a random part of the images."""
    number = max(1, round(min(1.0, share) * len(run.pairs)))
    rows = np.sort(chance.permutation(len(run.pairs))[:number])
    test = run.index.split_rows(run.judged)
    keep = np.sort(np.concatenate([np.setdiff1d(np.arange(len(run.index)), test), test[rows]]))
    facts = None if run.facts is None else facts_of_rows(run.facts, keep)
    fewer = replace(run, index=run.index.select(keep), facts=facts)
    return fewer.answered([run.pairs[row] for row in rows.tolist()])


def facts_of_rows(facts: object, rows: np.ndarray) -> object:
    names = [name for name in type(facts).__slots__ if name != "errors"]
    return replace(facts, errors={}, **{name: getattr(facts, name)[rows] for name in names})  # type: ignore[type-var]


def not_recorded(run: Answered, severity: int, chance: Chance) -> Answered:
    """Leave the seed out of the record, the versions, or train on data that have changed since."""
    del chance
    whole = {**RECORD, "data": "data", "fingerprint": run.index.fingerprint(), "settings": {"seed": 0},
             "environment": {"torch": "2", "command": "train"}}  # fmt: skip
    broken = ({"settings": {}}, {"environment": {}}, {"fingerprint": "another"})[severity]
    files = RunFiles(folder=run.index.root, index=run.index, kind=run.kind, results={}, record={**whole, **broken})
    return replace(run, further=(*run.further, files))
