"""A segmenter whose labels are made to agree with the picture."""

from typing import Any

from snellen.evaluation.pixel_scores import checked_scores, pixel_probs, said_anew
from snellen.evaluation.wrapping import Wrapped
from snellen.imaging import DenseCrfSettings, dense_crf
from snellen.structures import ImageBatch, Model, Target

__all__ = ["Refined"]


class Refined(Wrapped):
    """A segmenter behind which a dense CRF stands, at the size at which the network sees the images.

    Args:
        model: Gives every pixel a class.
        settings: Kernels; the defaults if None.

    Raises:
        InputError: In use, if the model does not score every pixel.

    Source:
        Chen et al. 2015, section 3.2, https://arxiv.org/abs/1412.7062; the field itself: see ``dense_crf``.
    """

    def __init__(self, model: Model, settings: DenseCrfSettings | None = None) -> None:
        super().__init__(model)
        self.settings = settings or DenseCrfSettings()

    def forward(self, images: ImageBatch, targets: Target | None = None) -> Any:
        """Return the output of the model with refined scores."""
        output = checked_scores(self.model(images, targets), "a dense CRF")
        refined = [
            dense_crf(probs, pixels[:, : probs.shape[1], : probs.shape[2]], self.settings)
            for probs, pixels in zip(pixel_probs(output), images.pixels, strict=True)
        ]
        return said_anew(output, refined, (images.pixels.shape[-2], images.pixels.shape[-1]))
