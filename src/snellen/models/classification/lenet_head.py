"""C5, F6 and the output of LeNet-5."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.models.backbones import ScaledTanh, spread_by_fan_in
from snellen.models.classification.heads import Head
from snellen.nn.content import content_grid
from snellen.structures import FeatureSpec

__all__ = ["LeNetHead", "RadialOutput", "class_codes"]

_POOLED = 5  # rows and columns of S4 at 32 px, which C5's kernels cover
_C5, _F6 = 120, 84
_SEED = 1998  # of the codes that are drawn; any would do

# Ten digits as 7 × 12 pixels, after the manner of the paper's figure 3.
_DIGITS = """
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
..###..  ...#...  ..###..  .#####.  .....#.  .#####.  ...##..  .#####.  ..###..  ..###..
.#...#.  ..##...  .#...#.  .....#.  ....##.  .#.....  ..#....  .....#.  .#...#.  .#...#.
.#...#.  .#.#...  .....#.  ....#..  ...#.#.  .#.....  .#.....  .....#.  .#...#.  .#...#.
.#...#.  ...#...  .....#.  ...#...  ..#..#.  .####..  .#.....  ....#..  .#...#.  .#...#.
.#...#.  ...#...  ....#..  ..###..  .#...#.  .....#.  .####..  ....#..  ..###..  ..####.
.#...#.  ...#...  ...#...  .....#.  .######  .....#.  .#...#.  ...#...  .#...#.  .....#.
.#...#.  ...#...  ..#....  .....#.  .....#.  .....#.  .#...#.  ...#...  .#...#.  .....#.
.#...#.  ...#...  .#.....  .#...#.  .....#.  .#...#.  .#...#.  ..#....  .#...#.  ....#..
..###..  .#####.  .#####.  ..###..  .....#.  ..###..  ..###..  ..#....  ..###..  .##....
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
"""


def class_codes(num_classes: int) -> Float[Tensor, "num_classes 84"]:
    """Return a code of ±1 for each class: pictures of the digits for ten classes, else drawn at random.

    Source:
        LeCun et al. 1998, section II.B: the components "could have been chosen at random with equal probabilities",
        but were designed as pictures of 7 × 12 pixels. Differs: these pictures are drawn here, not copied from
        figure 3 pixel by pixel.
    """
    rows = [line.split() for line in _DIGITS.strip().splitlines()]
    if num_classes == len(rows[0]):
        pictures = ["".join(row[digit] for row in rows) for digit in range(num_classes)]
        return torch.tensor([[1.0 if pixel == "#" else -1.0 for pixel in picture] for picture in pictures])
    drawn = torch.randint(0, 2, (num_classes, _F6), generator=torch.Generator().manual_seed(_SEED))
    return drawn.float() * 2 - 1


class RadialOutput(nn.Module):
    """Less the squared distance from the code of each class.

    As logits of the cross-entropy they give the paper's discriminative loss (eq. 9) without its constant.

    Args:
        num_classes: At least 1.

    Source:
        LeCun et al. 1998, eq. 7.
    """

    codes: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("codes", class_codes(num_classes))

    def forward(self, x: Float[Tensor, "batch 84"]) -> Float[Tensor, "batch num_classes"]:
        """Return how near each class is, at most 0."""
        return -(x.float()[:, None] - self.codes).square().sum(dim=-1)


class LeNetHead(Head):
    """C5, F6 and the output.

    Args:
        feature: The map that is read: S4.
        num_outputs: Numbers for each image.
        modern: False for the paper's squashing function and radial output; True for ReLU and a linear layer.

    Source:
        LeCun et al. 1998, section II.B.
    """

    def __init__(self, feature: FeatureSpec, num_outputs: int, *, modern: bool = False) -> None:
        super().__init__()
        self.c5 = nn.Linear(feature.channels * _POOLED**2, _C5)
        self.f6 = nn.Linear(_C5, _F6)
        self.bend: nn.Module = nn.ReLU() if modern else ScaledTanh()
        self.output: nn.Module = nn.Linear(_F6, num_outputs) if modern else RadialOutput(num_outputs)
        if not modern:
            spread_by_fan_in(self.c5)
            spread_by_fan_in(self.f6)

    def forward(
        self, features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch num_outputs"]:
        """Return the numbers of each image."""
        x = self.bend(self.c5(content_grid(features, cells, _POOLED).flatten(1)))
        result: Tensor = self.output(self.bend(self.f6(x)))
        return result

    @property
    def bias(self) -> Tensor | None:
        """What a linear output adds; None for distances."""
        return self.output.bias if isinstance(self.output, nn.Linear) else None

    def allow_negative(self) -> None:
        """Put a linear layer in the place of distances, which are of one sign."""
        if isinstance(self.output, RadialOutput):
            self.output = nn.Linear(_F6, len(self.output.codes))
