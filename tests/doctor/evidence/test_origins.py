"""Sources of images, told by two signs that agree; how far they do is their mutual information (SYS-155)."""

from dataclasses import replace

import numpy as np
import pytest

from snellen.data import ClassTable
from snellen.data.sharing import Strings
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.images import ScanSettings, facts_of_images
from snellen.doctor.evidence.origins import SAME_GROUPS, _shared_information, origins_of_images

COUNT = 80


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """One small image, scanned as if it were all of them; tests replace the columns that are signs."""
    from tests.doctor.gallery import Gallery

    root = tmp_path_factory.mktemp("origins")
    pictures = Gallery(root / "data")
    picture = pictures.photo(0, (32, 24))
    for _ in range(COUNT):
        pictures.add(picture)
    index = pictures.index()
    return index, facts_of_images(index, ScanSettings(workers=0, cache=root / "cache"))


def set_of(scanned, names, *, formats=None, sizes=None, labels=None, splits=None):
    """Return an index and facts with the given signs: names of files, formats, (height, width)."""
    index, facts = scanned
    index = replace(index, paths=Strings.pack(list(names)))
    if labels is not None:
        index = replace(index, annotations=ClassTable(labels=np.asarray(labels, np.int32)))
    if splits is not None:
        index = replace(index, splits=np.asarray(splits, np.int16), split_names=("train", "val"))
    columns = {} if formats is None else {"format": np.asarray(formats)}
    if sizes is not None:
        columns |= dict(zip(("height", "width"), np.asarray(sizes, np.int32).T, strict=True))
    return index, replace(facts, **columns)


HALF = np.arange(COUNT) % 2
CLASSES = np.arange(COUNT) // 2 % 2  # even in both halves
NAMES = [f"train/{'IMG_' if half else 'scan-'}{row:04d}.x" for row, half in enumerate(HALF)]
SIZES = [(480, 640) if half else (1000, 700) for half in HALF]


def test_two_signs_that_agree_are_a_source(scanned):
    """Numbers and hashes in names do not count: what is left is a pattern."""
    index, facts = set_of(scanned, NAMES, sizes=SIZES, labels=CLASSES)
    found = origins_of_images(index, facts)
    assert found.signs == ("name", "size")
    assert set(found.names) == {"img_#", "scan-#"}
    place = np.array([found.names.index("img_#" if half else "scan-#") for half in HALF])
    np.testing.assert_array_equal(found.sources, place)


def test_one_sign_is_none(scanned):
    index, facts = set_of(scanned, NAMES, labels=CLASSES)
    with pytest.raises(NotCheckable):
        origins_of_images(index, facts)


def test_signs_that_do_not_agree_are_none(scanned):
    """Sizes that have nothing to do with names: the normalised mutual information is near 0."""
    index, facts = set_of(scanned, NAMES, sizes=[(480, 640) if row % 4 < 2 else (900, 700) for row in range(COUNT)])
    with pytest.raises(NotCheckable):
        origins_of_images(index, facts)


@pytest.mark.parametrize("exchanged", range(7))
def test_agreement_is_measured_in_normalised_mutual_information(scanned, exchanged):
    """SYS-155: two signs are of one source while 2 I(X; Y) / (H(X) + H(Y)) is 0.8 or more, up to 2 of 80 images."""
    wide = HALF.copy()
    wide[:exchanged] = 1 - wide[:exchanged]
    sizes = [(480, 640) if each else (1000, 700) for each in wide]
    index, facts = set_of(scanned, NAMES, sizes=sizes, labels=CLASSES)
    joint = np.array([[np.mean((wide == a) & (b == HALF)) for b in (0, 1)] for a in (0, 1)])

    def entropy(shares):
        kept = shares[shares > 0]
        return -(kept * np.log(kept)).sum()

    rows, columns = entropy(joint.sum(1)), entropy(joint.sum(0))
    wanted = 2 * (rows + columns - entropy(joint.ravel())) / (rows + columns)
    signs = (np.array(NAMES_PLAIN), np.array([f"{width}x{height}" for height, width in sizes]))
    assert _shared_information(*signs, facts) == pytest.approx(wanted, abs=1e-9)
    if wanted >= SAME_GROUPS:
        assert origins_of_images(index, facts).signs == ("name", "size")
    else:
        with pytest.raises(NotCheckable):
            origins_of_images(index, facts)


NAMES_PLAIN = ["img_#" if half else "scan-#" for half in HALF]


def test_what_tells_of_classes_or_splits_is_no_source(scanned):
    """Folders of classes look like sources; so do splits from two places."""
    for given in ({"labels": HALF}, {"labels": CLASSES, "splits": HALF}):
        index, facts = set_of(scanned, NAMES, sizes=SIZES, **given)
        with pytest.raises(NotCheckable):
            origins_of_images(index, facts)


def test_what_is_stated_comes_first(scanned):
    index, facts = set_of(scanned, NAMES, sizes=SIZES, labels=CLASSES)
    stated = np.array(["north", "south", "south", "south"] * (COUNT // 4))
    found = origins_of_images(replace(index, attributes={"source": stated}), facts)
    assert found.signs == ("source",)
    assert found.names == ("south", "north")
    assert (found.sources == (stated == "north")).all()


def test_images_that_cannot_be_read_are_in_no_source(scanned):
    index, facts = set_of(scanned, NAMES, sizes=SIZES, labels=CLASSES)
    readable = np.ones(COUNT, bool)
    readable[5] = False
    found = origins_of_images(index, replace(facts, is_readable=readable))
    assert found.sources[5] == -1
    assert (found.sources[readable] >= 0).all()


def test_the_format_is_a_sign_too(scanned):
    index, facts = set_of(scanned, NAMES, formats=["PNG" if half else "JPEG" for half in HALF], labels=CLASSES)
    assert origins_of_images(index, facts).signs == ("name", "format")


def test_many_small_groups_are_no_signs(scanned):
    """A name for each image, or a size for each: nothing that two groups have in common."""
    names = [f"train/{chr(97 + row // 26)}{chr(97 + row % 26)}.x" for row in range(COUNT)]
    index, facts = set_of(scanned, names, sizes=[(400 + row, 500 + row) for row in range(COUNT)], labels=CLASSES)
    with pytest.raises(NotCheckable):
        origins_of_images(index, facts)
