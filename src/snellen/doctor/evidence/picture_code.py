"""What can be told of pictures without pretrained weights: oriented gradients, colours, and a code of small patches.

The code is learned from the pictures themselves, without labels (Coates, Ng and Lee 2011): patches are normalised and
whitened, a dictionary is found by k-means on the sphere, and how much of each word a place shows is its feature.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from snellen.imaging import HogSpec, hog, hog_cells

__all__ = ["PatchCode", "color_grid", "learn_patches", "picture_features", "region_maps"]

PATCH_PX = 6  # Coates et al. 2011, section 4.4: 6 is best for pictures of 32 px
WORDS = 200  # of the dictionary; each has two sides, so that a place has twice as many numbers
FLAT_PATCH = 10 / 255**2  # added to the variance of a patch, Coates and Ng 2012, section 3.1: 10 in bytes
WHITENING_FLOOR = 0.1  # added to each variance, the same
SPARSITY = 0.25  # what a word must exceed to count; Coates and Ng 2011, "The importance of encoding", section 3.1
ROUNDS = 10  # of k-means, the same
LEARNED_PATCHES = 40_000
CODE_PX = 32  # side of a picture that is coded as a whole
HOG_PX = 64
COLOR_LEVELS = 4  # of each of R, G, B
MAP_STRIDE = 2  # pixels from one patch of a map to the next

_REGION_HOG = HogSpec(cell_px=4, spatial_voting="bilinear")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatchCode:
    """A dictionary of patches.

    Attributes:
        center: Mean of the normalised patches.
        words: Whitening and dictionary in one matrix.
    """

    center: Float[Tensor, " numbers"]
    words: Float[Tensor, "numbers words"]

    def coded(self, patches: Float[Tensor, "*batch numbers"]) -> Float[Tensor, "*batch code"]:
        """Return how much of each side of each word is in a patch."""
        found = (_normalized(patches) - self.center) @ self.words
        return torch.cat([(found - SPARSITY).clamp(min=0), (-found - SPARSITY).clamp(min=0)], dim=-1)

    def maps(
        self, images: Float[Tensor, "batch 3 height width"], stride: int = 1
    ) -> Float[Tensor, "batch code rows columns"]:
        """Return the code at every place where a patch fits."""
        rows, columns = ((side - PATCH_PX) // stride + 1 for side in images.shape[-2:])
        patches = functional.unfold(images, PATCH_PX, stride=stride).transpose(1, 2)
        return self.coded(patches).transpose(1, 2).reshape(len(images), -1, rows, columns)  # code places -> code r c


def learn_patches(images: Float[Tensor, "batch 3 height width"], seed: int = 0) -> PatchCode:
    """Return a dictionary of patches of these pictures (values in 0..1).

    Source:
        Coates, Ng and Lee 2011, An analysis of single-layer networks in unsupervised feature learning, and Coates and
        Ng 2012, Learning feature representations with k-means. Differs: at most 200 words, for speed.
    """
    chance = torch.Generator().manual_seed(seed)
    patches = functional.unfold(images, PATCH_PX, stride=PATCH_PX // 2).transpose(1, 2).flatten(0, 1)
    chosen = torch.randperm(len(patches), generator=chance)[:LEARNED_PATCHES]
    patches = _normalized(patches[chosen])
    center = patches.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((patches - center).T))
    whitening = (vectors * (values.clamp(min=0) + WHITENING_FLOOR).rsqrt()) @ vectors.T
    white = (patches - center) @ whitening
    words = functional.normalize(torch.randn(WORDS, white.shape[1], generator=chance))
    for _ in range(ROUNDS):
        likeness = white @ words.T
        best = likeness.abs().argmax(1)
        sums = torch.zeros_like(words).index_add_(0, best, white * likeness.gather(1, best[:, None]))
        empty = sums.norm(dim=1) == 0
        sums[empty] = torch.randn(int(empty.sum()), white.shape[1], generator=chance)
        words = functional.normalize(sums)
    return PatchCode(center=center, words=whitening @ words.T)


def picture_features(
    images: UInt8[Tensor, "batch 3 64 64"], code: PatchCode
) -> tuple[Float[Tensor, "batch _"], Float[Tensor, "batch _"], Float[Tensor, "batch _"]]:
    """Return gradients, colours and patches of pictures that were brought to 64 x 64 pixels."""
    pixels = images.float() / 255
    small = functional.avg_pool2d(pixels, HOG_PX // CODE_PX)
    words = functional.adaptive_avg_pool2d(code.maps(small), 2).flatten(1).sqrt()
    return hog(pixels), color_grid(small).flatten(1).sqrt(), words


def color_grid(images: Float[Tensor, "batch 3 height width"], cells: int = 2) -> Float[Tensor, "batch colors _ _"]:
    """Return the share of each of 64 colours in each cell of a grid."""
    return functional.adaptive_avg_pool2d(_colors(images), cells)


def region_maps(images: Float[Tensor, "1 3 height width"], code: PatchCode) -> list[tuple[Tensor, float]]:
    """Return maps of an image to pool regions from, each with its cells per pixel: patches, gradients, colours."""
    around = functional.pad(images, (PATCH_PX // 2,) * 4, mode="replicate")
    words = functional.avg_pool2d(code.maps(around, stride=MAP_STRIDE), 2)
    votes = hog_cells(images, _REGION_HOG)
    strength = functional.avg_pool2d(votes.sum(1, keepdim=True), 5, stride=1, padding=2, count_include_pad=False)
    colors = functional.avg_pool2d(_colors(images), MAP_STRIDE * 2)
    return [
        (words, 1 / (MAP_STRIDE * 2)),
        (votes / (strength + 0.02), 1 / _REGION_HOG.cell_px),
        (colors, 1 / (MAP_STRIDE * 2)),
    ]


def _colors(images: Tensor) -> Tensor:
    levels = (images * (COLOR_LEVELS - 1e-3)).long()
    number = (levels[:, 0] * COLOR_LEVELS + levels[:, 1]) * COLOR_LEVELS + levels[:, 2]
    return torch.zeros(len(images), COLOR_LEVELS**3, *number.shape[1:]).scatter_(1, number[:, None], 1.0)


def _normalized(patches: Tensor) -> Tensor:
    centered = patches - patches.mean(-1, keepdim=True)
    return centered * (centered.square().mean(-1, keepdim=True) + FLAT_PATCH).rsqrt()
