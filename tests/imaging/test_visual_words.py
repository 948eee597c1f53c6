"""Bags of SIFT words."""

import numpy as np
import pytest
from skimage import data
from skimage.feature import SIFT
from sklearn.feature_extraction.text import TfidfTransformer

from snellen.imaging.visual_words import root_sift, sift_descriptors, visual_words, weighted_words


def test_descriptors_are_those_of_scikit_image():
    """SYS-005."""
    grey = data.camera()[128:256, 128:256]
    finder = SIFT(upsampling=1)
    finder.detect_and_extract(grey)
    found = sift_descriptors(grey)
    assert len(found) == len(finder.descriptors) > 10
    assert {row.tobytes() for row in found} == {row.tobytes() for row in finder.descriptors}
    largest = set(np.argsort(-finder.sigmas, kind="stable")[:5].tolist())
    kept = sift_descriptors(grey, most=5)
    assert {row.tobytes() for row in kept} == {finder.descriptors[place].tobytes() for place in largest}
    assert len(sift_descriptors(grey, doubled=True)) > len(found)


@pytest.mark.parametrize(
    "grey", [np.zeros((64, 64), np.uint8), np.full((8, 8), 7, np.uint8), np.ones((1, 1), np.uint8)]
)
def test_images_without_anything_have_no_descriptor(grey):
    assert sift_descriptors(grey).shape == (0, 128)


def test_root_sift_turns_euclidean_into_hellinger():
    one, other = np.random.default_rng(0).integers(0, 256, (2, 4, 128), dtype=np.uint8)
    shares = [rows / rows.sum(axis=1, keepdims=True) for rows in (one.astype(float), other.astype(float))]
    hellinger = np.square(np.sqrt(shares[0]) - np.sqrt(shares[1])).sum(axis=1)
    found = np.square(root_sift(one) - root_sift(other)).sum(axis=1)
    np.testing.assert_allclose(found, hellinger, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(root_sift(one), axis=1), 1, rtol=1e-6)
    assert not root_sift(np.zeros((1, 128), np.uint8)).any()


def test_words_are_the_nearest():
    points = np.random.default_rng(0).random((9000, 8), np.float32)
    vocabulary = np.random.default_rng(1).random((20, 8), np.float32)
    wanted = np.square(points[:, None] - vocabulary).sum(axis=2).argmin(axis=1)
    assert (visual_words(points, vocabulary) == wanted).mean() > 0.999
    assert visual_words(points[:0], vocabulary).shape == (0,)


def test_tfidf_is_scikit_learns():
    counts = np.random.default_rng(0).integers(0, 5, (12, 6)).astype(np.float32)
    counts[3] = 0
    counts[:, 2] = 1
    idf = np.log(len(counts) / np.maximum((counts > 0).sum(axis=0), 1)).astype(np.float32)
    wanted = TfidfTransformer(smooth_idf=False).fit(counts)
    wanted.idf_ = idf.astype(np.float64)  # scikit-learn adds 1 to the logarithm; Sivic and Zisserman do not
    np.testing.assert_allclose(weighted_words(counts, "tfidf", idf), wanted.transform(counts).toarray(), atol=1e-6)


def test_other_weightings():
    counts = np.array([[4, 0, 12], [0, 0, 0]], np.float32)
    idf = np.ones(3, np.float32)
    np.testing.assert_allclose(weighted_words(counts, "hellinger", idf), [[0.5, 0, np.sqrt(0.75)], [0, 0, 0]])
    assert weighted_words(counts, "counts", idf) is counts
