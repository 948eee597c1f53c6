"""Images as bags of visual words: SIFT descriptors, and how often each word of a vocabulary occurs."""

from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int64, UInt8

__all__ = ["SIFT_LENGTH", "WordWeighting", "root_sift", "sift_descriptors", "visual_words", "weighted_words"]

SIFT_LENGTH = 128  # numbers of a descriptor: 4 × 4 parts with 8 orientations each
_LEAST_SIDE_PX = 16  # below, scikit-image's scale space has no octave
_AT_ONCE = 4096  # descriptors compared with a vocabulary at once

WordWeighting = Literal["hellinger", "tfidf", "counts"]


def sift_descriptors(
    grey: UInt8[np.ndarray, "height width"], *, most: int = 500, doubled: bool = False
) -> UInt8[np.ndarray, "num_descriptors 128"]:
    """Return the SIFT descriptors of an image; none where nothing in it stands out.

    Args:
        grey: Of any size; below 16 px there are none.
        most: Descriptors kept, those of the largest scales, which the most of the image supports.
        doubled: Whether the image is enlarged to twice its size first, as Lowe does, which takes five times as long.

    Source:
        Lowe 2004, https://doi.org/10.1023/B:VISI.0000029664.99615.94, through scikit-image.
    """
    from skimage import feature  # noqa: PLC0415 - takes long to import

    nothing = np.zeros((0, SIFT_LENGTH), np.uint8)
    if min(grey.shape) < _LEAST_SIDE_PX:
        return nothing
    finder: Any = feature.SIFT(upsampling=2 if doubled else 1)  # type: ignore[no-untyped-call]  # scikit-image's
    try:
        finder.detect_and_extract(grey)
    except RuntimeError:  # how scikit-image says that there is no keypoint
        return nothing
    order = np.argsort(-finder.sigmas, kind="stable")[:most]
    return np.asarray(finder.descriptors[order], np.uint8)


def root_sift(descriptors: UInt8[np.ndarray, "n 128"]) -> Float32[np.ndarray, "n 128"]:
    """Return descriptors whose Euclidean distance is the Hellinger distance of the original ones; of length 1.

    Source:
        Arandjelović and Zisserman 2012, section 2.1, https://doi.org/10.1109/CVPR.2012.6248018.
    """
    values = descriptors.astype(np.float32)
    found: np.ndarray = np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1))
    return found


def visual_words(
    descriptors: Float32[np.ndarray, "n length"], vocabulary: Float32[np.ndarray, "num_words length"]
) -> Int64[np.ndarray, " n"]:
    """Return the nearest word of each descriptor."""
    square = np.square(vocabulary).sum(axis=1) / 2
    parts = [
        (square - descriptors[start : start + _AT_ONCE] @ vocabulary.T).argmin(axis=1)
        for start in range(0, len(descriptors), _AT_ONCE)
    ]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def weighted_words(
    counts: Float32[np.ndarray, "images num_words"],
    weighting: WordWeighting,
    idf: Float32[np.ndarray, " num_words"],
) -> Float32[np.ndarray, "images num_words"]:
    """Return word counts as learners compare them; images without a word stay zero.

    ``hellinger`` takes the roots of the shares, ``tfidf`` the shares times the inverse document frequency, scaled to
    length 1; ``counts`` leaves them as they are.

    Args:
        counts: How often each word occurs in each image.
        weighting: See above.
        idf: Logarithm of images over images with the word, of the training images.

    Source:
        Sivic and Zisserman 2003, section 4.1, for tf-idf; Arandjelović and Zisserman 2012 for Hellinger.
    """
    if weighting == "counts":
        return counts
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if weighting == "hellinger":
        return np.asarray(np.sqrt(shares), np.float32)
    rows = shares * idf
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
