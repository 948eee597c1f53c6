"""D27 (DX-034)."""

import numpy as np
import pytest
from PIL import Image

from snellen.doctor import Level, Status


def burnt(image, share=0.4):
    pixels = np.asarray(image).copy()
    pixels[:, : int(share * image.width)] = 255
    return Image.fromarray(pixels)


def test_healthy_images_pass(gallery):
    gallery.add_all(gallery.photos(8))
    assert gallery.said("D27") == []


@pytest.mark.parametrize(("count", "level"), [(2, Level.INFO), (6, Level.WARNING)])
def test_burnt_images(gallery, count, level):
    gallery.add_all(gallery.photos(16 - count))
    gallery.add_all(map(burnt, gallery.photos(count, first=50)))
    (finding,) = gallery.result("D27").findings
    assert (finding.level, finding.num_places) == (level, count)
    assert finding.numbers["burnt"] == count
    assert finding.places[0].note.startswith("255: 4")


def test_a_small_highlight_is_no_fault(gallery):
    gallery.add_all(burnt(image, 0.1) for image in gallery.photos(4))
    assert gallery.said("D27") == []


def test_a_set_that_is_overexposed_as_a_whole(gallery):
    """Light that is clipped here and there, up to the edges: no ground."""
    gallery.add_all(photo.point(lambda level: min(255, int(2.3 * level))) for photo in gallery.photos(8))
    (finding,) = gallery.result("D27").findings
    assert finding.level is Level.WARNING


def test_things_on_a_white_ground_cannot_be_told(gallery):
    for thing in gallery.photos(8):
        picture = Image.new("RGB", (240, 190), "white")
        picture.paste(thing, (20, 20))
        gallery.add(picture)
    result = gallery.result("D27")
    assert result.status == Status.NOT_CHECKABLE
    assert result.reason.en == "most images have a white or black ground, which looks like clipped light"
