"""Proposals that somebody else has made."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import InputError
from snellen.structures import BoxTarget, ImageBatch, Regions

__all__ = ["OutsideProposals"]

# Of selective search, per image, in training and in evaluation; Girshick 2015 (Fast R-CNN), section 2.3 and 3.
MOST_REGIONS = 2000


class OutsideProposals(nn.Module):
    """Takes the regions that came with the images; the first stage of R-CNN, SPPnet and Fast R-CNN.

    Args:
        most_train: Regions of each image in training; they come best first.
        most_test: The same in evaluation.

    Source:
        Girshick et al. 2014 (R-CNN), section 2.1, https://arxiv.org/abs/1311.2524: selective search.
    """

    def __init__(self, *, most_train: int = MOST_REGIONS, most_test: int = MOST_REGIONS) -> None:
        super().__init__()
        self.most_train = most_train
        self.most_test = most_test

    def forward(self, features: Mapping[str, Tensor], images: ImageBatch) -> tuple[None, Regions]:
        """Return the best of the regions of each image, at least one row (perhaps of padding).

        Raises:
            InputError: If the images came without regions.
        """
        del features
        if images.regions is None:
            raise InputError(
                "this model judges proposals from outside and expects ImageBatch.regions; got None. Compute "
                "proposals for every image (selective search, edge boxes) and put them into Sample.regions"
            )
        most = self.most_train if self.training else self.most_test
        boxes, valid = images.regions.boxes[:, :most], images.regions.valid[:, :most]
        empty_rows = max(0, 1 - boxes.shape[1])
        return None, Regions(
            boxes=functional.pad(boxes, (0, 0, 0, empty_rows)), valid=functional.pad(valid, (0, empty_rows))
        )

    def loss(self, output: None, targets: BoxTarget) -> dict[str, Tensor]:
        """Return nothing: there is nothing to learn."""
        del output, targets
        return {}
