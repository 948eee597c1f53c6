"""Regions drawn on their image."""

import numpy as np

from snellen.report.region_drawing import BORDER, SHADE, draw_regions


def test_borders_are_drawn_and_nothing_else_changes():
    image = np.full((6, 8, 3), 100, dtype=np.uint8)
    regions = np.zeros((6, 8), dtype=np.int32)
    regions[:, 4:] = 70_000  # more regions than a byte can tell
    drawn = np.asarray(draw_regions(image, regions))
    assert (drawn[:, 3] == BORDER).all()
    assert (np.delete(drawn, 3, axis=1) == 100).all()


def test_background_is_shaded():
    image = np.full((4, 4, 3), 200, dtype=np.uint8)
    regions = np.zeros((4, 4), dtype=np.int32)
    foreground = np.zeros((4, 4), dtype=bool)
    foreground[1, 1] = True
    drawn = np.asarray(draw_regions(image, regions, foreground=foreground))
    assert drawn[1, 1].tolist() == [200] * 3
    assert drawn[0, 0].tolist() == [round(200 * SHADE)] * 3
    assert (image == 200).all()
