"""Frames of a video are told from numbered photographs."""

import numpy as np
from PIL import Image

from snellen.doctor.evidence.frames import FrameNeighbours


def video(gallery, count=30, name="clip_{:04d}.jpg", seed=1):
    """A camera that moves over a large picture."""
    scene = gallery.photo(seed, (900, 150))
    for frame in range(count):
        gallery.add(scene.crop((20 * frame, 0, 20 * frame + 200, 150)), name.format(3 * frame))


def test_neighbours_of_a_video_are_found(gallery):
    video(gallery)
    pairs = gallery.evidence().get(FrameNeighbours).pairs
    assert len(pairs) > 20
    assert (np.diff(pairs, axis=1) == 1).all()


def test_numbered_photographs_are_no_video(gallery):
    for number in range(30):
        gallery.add(gallery.photo(number), f"IMG_{number:04d}.jpg")
    assert not len(gallery.evidence().get(FrameNeighbours).pairs)


def test_numbered_images_that_are_all_alike_are_no_video(gallery):
    """Slides under one microscope resemble one another whatever their numbers."""
    ramp = np.linspace(60, 200, 200)[None, :, None] * np.ones((150, 200, 3))
    for number in range(30):
        noise = np.random.default_rng(number).normal(0, 20, ramp.shape)
        gallery.add(Image.fromarray((ramp + noise).clip(0, 255).astype(np.uint8)), f"slide{number:03d}.jpg")
    assert not len(gallery.evidence().get(FrameNeighbours).pairs)
