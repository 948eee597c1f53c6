"""Which detection found which truth: the rules of COCO and of Pascal VOC, for one image at one overlap."""

import numpy as np
from jaxtyping import Float64, Int64

from snellen.metrics.objects import ImageObjects

__all__ = ["IGNORED", "NOTHING", "coco_matches", "voc_matches"]

NOTHING = -1  # the detection found no truth
IGNORED = -2  # the detection lies on a truth that counts for nothing: neither right nor wrong


def coco_matches(
    seen: ImageObjects, overlaps: Float64[np.ndarray, "n m"], *, iou_at_least: float
) -> Int64[np.ndarray, " n"]:
    """Row of the truth that each detection found, ``NOTHING`` or ``IGNORED``.

    Best score first, each detection takes the truth of its class that it overlaps most among those still
    free. Ignored truths can be taken any number of times, by the share of the detection that lies within
    them.

    Source:
        ``COCOeval.evaluateImg`` of pycocotools (Lin et al. 2014).
    """
    found = np.full(len(seen.scores), NOTHING)
    if overlaps.size == 0:
        return found
    same = seen.labels[:, None] == seen.true_labels[None, :]
    wanted = same & ~seen.true_ignored
    free = np.where(wanted, overlaps, -1.0)
    for row in np.flatnonzero((free >= iou_at_least).any(axis=1)):
        best = int(free[row].argmax())
        if free[row, best] >= iou_at_least:
            found[row] = best
            free[:, best] = -1.0
    if seen.true_ignored.any():
        hidden = (seen.covered() >= iou_at_least) & same & seen.true_ignored
        found[(found == NOTHING) & hidden.any(axis=1)] = IGNORED
    return found


def voc_matches(
    seen: ImageObjects, overlaps: Float64[np.ndarray, "n m"], *, iou_at_least: float
) -> Int64[np.ndarray, " n"]:
    """Row of the truth that each detection found, ``NOTHING`` or ``IGNORED``.

    Each detection is held against the one truth of its class that it overlaps most, even if another detection
    has that truth already: then it is wrong, however well it lies on a second truth. Detections whose best
    truth is ignored (difficult) count for nothing.

    Source:
        Pascal VOC development kit, ``VOCevaldet.m``.
    """
    found = np.full(len(seen.scores), NOTHING)
    if overlaps.size == 0:
        return found
    own = np.where(seen.labels[:, None] == seen.true_labels[None, :], overlaps, -1.0)
    best = own.argmax(axis=1)
    close = own.max(axis=1) >= iou_at_least
    ignored = close & seen.true_ignored[best]
    found[ignored] = IGNORED
    rows = np.flatnonzero(close & ~ignored)
    _, first = np.unique(best[rows], return_index=True)
    found[rows[first]] = best[rows[first]]
    return found
