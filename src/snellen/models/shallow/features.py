"""What shallow models look at: the kinds of features, each with how it describes an image.

Shapes: n images, H rows, W columns, d features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

from snellen.errors import ConfigError, did_you_mean
from snellen.imaging import HogSpec, hog
from snellen.imaging.binary_patterns import PatternSpec, pattern_histogram
from snellen.imaging.colour_histograms import ColourSpec, colour_histogram
from snellen.imaging.colour_spaces import intensity
from snellen.imaging.visual_words import (
    SIFT_LENGTH,
    WordWeighting,
    root_sift,
    sift_descriptors,
    visual_words,
    weighted_words,
)
from snellen.models.field_checks import AT_LEAST_ONE, check_fields
from snellen.models.shallow.fitted import Arrays, Schema

__all__ = ["FEATURES", "FeatureKind", "PixelSettings", "WordSettings", "find_features"]

Descriptions = Sequence[NDArray[Any]]
_FULL_SCALE = 255.0  # largest value of a byte


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSettings:
    """Of pixels as features.

    Attributes:
        grey: Whether colours are dropped; None to drop them where all training images are grey.
    """

    grey: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WordSettings:
    """Of bags of SIFT words.

    Attributes:
        words: Of the vocabulary.
        weighting: See ``snellen.imaging.visual_words.weighted_words``.
        root: Whether descriptors are compared by their roots (RootSIFT).
        most: Descriptors of an image at most.
        doubled: Whether images are enlarged to twice their size first.
        sampled: Descriptors of the training images, drawn at random, that the vocabulary is made from at most.
    """

    words: int = 300
    weighting: WordWeighting = "hellinger"
    root: bool = True
    most: int = 500
    doubled: bool = False
    sampled: int = 30_000

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, words=AT_LEAST_ONE, most=AT_LEAST_ONE, sampled=AT_LEAST_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureKind:
    """A kind of features.

    Attributes:
        name: What the user types before the learner's name.
        summary: A few words.
        paper: Address.
        default_size: Side in pixels of the square to which images are brought.
        settings: Record of how it describes images.
        describe: From squares ``[n, H, W, 3]`` and settings to an array for each image; a function of a module, so that
            other processes can be given it.
        fit: From the descriptions of all training images, settings and a seed to what is learned from them.
        encode: From descriptions, what was learned, settings, and whether counts are wanted, to ``[n, d]``.
        schema: Of what is learned.
        is_costly: Whether describing takes so long that it is done in several processes and kept in the cache.
        is_histogram: Whether features count something.
    """

    name: str
    summary: str
    paper: str
    default_size: int
    settings: type[Any]
    describe: Callable[[NDArray[np.uint8], Any], list[NDArray[Any]]]
    fit: Callable[[Descriptions, Any, int], Arrays]
    encode: Callable[..., NDArray[np.float32]]
    schema: Schema
    is_costly: bool = False
    is_histogram: bool = False


def _pixels(images: UInt8[np.ndarray, "n H W 3"], settings: PixelSettings) -> list[NDArray[Any]]:
    del settings
    return [np.ascontiguousarray(image.transpose(2, 0, 1)) for image in images]  # [3, H, W]: as tangents want them


def _fit_pixels(descriptions: Descriptions, settings: PixelSettings, seed: int) -> Arrays:
    del seed
    grey = settings.grey
    if grey is None:
        grey = all((image[0] == image[1]).all() and (image[0] == image[2]).all() for image in descriptions)
    return {"is_grey": np.array([int(grey)])}


def _encode_pixels(
    descriptions: Descriptions, learned: Arrays, settings: PixelSettings, *, counts: bool
) -> Float32[np.ndarray, "n d"]:
    del settings, counts
    if learned["is_grey"][0]:
        rows = [intensity(image.transpose(1, 2, 0)).ravel() for image in descriptions]
    else:
        rows = [image.ravel() for image in descriptions]
    return np.stack(rows).astype(np.float32) / np.float32(_FULL_SCALE)


def _hog(images: UInt8[np.ndarray, "n H W 3"], settings: HogSpec) -> list[NDArray[Any]]:
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / _FULL_SCALE
    return list(hog(pixels, settings).numpy())


def _colour(images: UInt8[np.ndarray, "n H W 3"], settings: ColourSpec) -> list[NDArray[Any]]:
    return [colour_histogram(image, settings) for image in images]


def _patterns(images: UInt8[np.ndarray, "n H W 3"], settings: PatternSpec) -> list[NDArray[Any]]:
    return [pattern_histogram(intensity(image)[0], settings) for image in images]


def _sift(images: UInt8[np.ndarray, "n H W 3"], settings: WordSettings) -> list[NDArray[Any]]:
    return [sift_descriptors(intensity(image)[0], most=settings.most, doubled=settings.doubled) for image in images]


def _fit_words(descriptions: Descriptions, settings: WordSettings, seed: int) -> Arrays:
    """Return the centres of k-means over descriptors of the training images, and how rare each is.

    Source:
        Csurka et al. 2004, Visual categorization with bags of keypoints; Sculley 2010 for k-means in small batches,
        through scikit-learn.
    """
    from sklearn.cluster import MiniBatchKMeans  # noqa: PLC0415 - takes a second to import

    found = np.concatenate([np.zeros((0, SIFT_LENGTH), np.uint8), *descriptions])
    if len(found) > settings.sampled:
        found = found[np.sort(np.random.default_rng(seed).permutation(len(found))[: settings.sampled])]
    points = _points(found, settings)
    distinct = np.unique(points, axis=0)
    if len(distinct) <= settings.words:  # nothing to cluster: every descriptor is a word
        vocabulary = distinct if len(distinct) else np.zeros((1, SIFT_LENGTH), np.float32)
    else:
        solver = MiniBatchKMeans(settings.words, n_init=1, batch_size=4096, random_state=seed)
        vocabulary = solver.fit(points).cluster_centers_.astype(np.float32)
    occurs = sum((_counts(each, vocabulary, settings) > 0).astype(np.float64) for each in descriptions)
    idf = np.log(len(descriptions) / np.maximum(occurs, 1)).astype(np.float32)
    return {"vocabulary": vocabulary, "idf": idf}


def _points(descriptors: NDArray[np.uint8], settings: WordSettings) -> NDArray[np.float32]:
    return root_sift(descriptors) if settings.root else descriptors.astype(np.float32) / np.float32(_FULL_SCALE)


def _counts(descriptors: NDArray[Any], vocabulary: NDArray[Any], settings: WordSettings) -> NDArray[np.float32]:
    words = visual_words(_points(descriptors, settings), vocabulary)
    return np.bincount(words, minlength=len(vocabulary)).astype(np.float32)


def _encode_words(
    descriptions: Descriptions, learned: Arrays, settings: WordSettings, *, counts: bool
) -> Float32[np.ndarray, "n d"]:
    rows = np.stack([_counts(each, learned["vocabulary"], settings) for each in descriptions])
    return weighted_words(rows, "counts" if counts else settings.weighting, learned["idf"])


def _fit_nothing(descriptions: Descriptions, settings: Any, seed: int) -> Arrays:
    del descriptions, settings, seed
    return {}


def _encode_vectors(
    descriptions: Descriptions, learned: Arrays, settings: Any, *, counts: bool
) -> Float32[np.ndarray, "n d"]:
    del learned, settings, counts
    return np.stack(descriptions).astype(np.float32)


def _encode_histograms(
    descriptions: Descriptions, learned: Arrays, settings: Any, *, counts: bool
) -> Float32[np.ndarray, "n d"]:
    """Return shares, or their roots, whose Euclidean distance is the Hellinger distance."""
    del learned, settings
    shares = np.stack(descriptions).astype(np.float32)
    return shares if counts else np.sqrt(shares)


_NOTHING = Schema(arrays={})

FEATURES: tuple[FeatureKind, ...] = (
    FeatureKind(
        name="pixels",
        summary="the pixels themselves",
        paper="",
        default_size=32,
        settings=PixelSettings,
        describe=_pixels,
        fit=_fit_pixels,
        encode=_encode_pixels,
        schema=Schema(arrays={"is_grey": ("i", (1,))}),
    ),
    FeatureKind(
        name="hog",
        summary="histograms of oriented gradients: shape",
        paper="https://doi.org/10.1109/CVPR.2005.177",
        default_size=64,
        settings=HogSpec,
        describe=_hog,
        fit=_fit_nothing,
        encode=_encode_vectors,
        schema=_NOTHING,
    ),
    FeatureKind(
        name="colour",
        summary="histograms of colours, of the whole and of its quarters",
        paper="https://doi.org/10.1007/BF00130487",
        default_size=96,
        settings=ColourSpec,
        describe=_colour,
        fit=_fit_nothing,
        encode=_encode_histograms,
        schema=_NOTHING,
        is_histogram=True,
    ),
    FeatureKind(
        name="lbp",
        summary="histograms of local binary patterns: texture",
        paper="https://doi.org/10.1109/TPAMI.2002.1017623",
        default_size=96,
        settings=PatternSpec,
        describe=_patterns,
        fit=_fit_nothing,
        encode=_encode_histograms,
        schema=_NOTHING,
        is_histogram=True,
    ),
    FeatureKind(
        name="sift",
        summary="bags of SIFT words: parts, wherever they are",
        paper="https://www.cs.cmu.edu/~efros/courses/LBMV07/Papers/csurka-eccv-04.pdf",
        default_size=192,
        settings=WordSettings,
        describe=_sift,
        fit=_fit_words,
        encode=_encode_words,
        schema=Schema(arrays={"vocabulary": ("f", ("w", SIFT_LENGTH)), "idf": ("f", ("w",))}),
        is_costly=True,
        is_histogram=True,
    ),
)


def find_features(name: str) -> FeatureKind:
    """Return the row of a kind of features.

    Raises:
        ConfigError: If there is none of that name.
    """
    rows = {kind.name: kind for kind in FEATURES}
    if name not in rows:
        raise ConfigError(f"there are no features {name!r}.{did_you_mean(name, rows)}")
    return rows[name]
