"""Gaussian filtering in spaces of a few dimensions, such as place and colour, in time linear in points."""

from dataclasses import dataclass
from math import pi, sqrt
from typing import Self

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from snellen.errors import InputError

__all__ = ["PermutohedralLattice"]

_SHARES = (0.5, 0.25)  # of a vertex and of each of its two neighbours in the blur along an axis; Adams et al., 3.2
_MOST_CODES = 2**62  # a vertex is one whole number; more need more bits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PermutohedralLattice:
    """Points spread over the corners of the simplices in which they lie, so that a blur is a few steps on the corners.

    A point in ``d`` dimensions is shared by ``d + 1`` corners; a blur goes along ``d + 1`` axes of the lattice. Nothing
    depends on how wide the kernel is. The filter is not exactly Gaussian: it depends a little on where a point lies in
    its simplex, and corners that no point shares pass nothing on, so that points few and far between hear less.
    What it adds up to is scaled to that of a Gaussian of height 1.

    Attributes:
        corners: Of each point.
        shares: Of each point among its corners; sum to 1.
        points: Grouped by corner, those that share in it.
        starts: Of the group of each corner within ``points``.
        point_shares: As ``shares``, in the order of ``points``.
        neighbours: The two of each corner along each axis; ``num_corners`` where there is none.

    Source:
        Adams, Baek, Davis 2010, Fast high-dimensional filtering using the permutohedral lattice, sections 3.1 to 3.3.
    """

    corners: Int64[Tensor, "n simplex"]
    shares: Float[Tensor, "n simplex"]
    points: Int64[Tensor, " shared"]
    starts: Int64[Tensor, " num_corners"]
    point_shares: Float[Tensor, " shared"]
    neighbours: Int64[Tensor, "simplex 2 num_corners"]

    @classmethod
    def of(cls, features: Float[Tensor, "n d"]) -> Self:
        """Return the lattice under points.

        Args:
            features: In units of the kernel's standard deviation; at least one point.

        Raises:
            InputError: If there is no point, one is not finite, or they lie too far apart for the kernel.
        """
        if features.ndim != 2 or 0 in features.shape or not bool(torch.isfinite(features).all()):
            raise InputError(
                f"features must be finite numbers of shape [points, dimensions], both above 0; got "
                f"{list(features.shape)}. Pass one row for each point."
            )
        num_points, dimensions = features.shape
        origin, ranks, shares = _simplices(features.float())
        codes, steps = _codes(origin, ranks)
        found, corners, counts = torch.unique(codes.flatten(), return_inverse=True, return_counts=True)
        order = corners.argsort(stable=True)
        return cls(
            corners=corners.view(num_points, dimensions + 1),
            shares=shares,
            points=order // (dimensions + 1),
            starts=counts.cumsum(0) - counts,
            point_shares=shares.flatten()[order],
            neighbours=_neighbours(found, steps),
        )

    def filtered(self, values: Float[Tensor, "n channels"]) -> Float[Tensor, "n channels"]:
        """Return at each point the sum of the values of all points, weighted by a Gaussian of their distance.

        The weight of a point at distance 0 is 1; nothing is divided by the sum of the weights.
        """
        at_corners = functional.embedding_bag(
            self.points, values.contiguous(), self.starts, mode="sum", per_sample_weights=self.point_shares
        )
        own, other = _SHARES
        nothing = at_corners.new_zeros((1, at_corners.shape[1]))
        for before, after in self.neighbours:
            padded = torch.cat([at_corners, nothing])
            at_corners = own * at_corners + other * (padded[before] + padded[after])
        summed = functional.embedding_bag(self.corners, at_corners, mode="sum", per_sample_weights=self.shares)
        return summed * _height(self.corners.shape[1] - 1)


def _height(dimensions: int) -> float:
    """Return the factor that gives the filter the volume of a Gaussian of height 1.

    All steps keep sums, so that the filter's volume is that of a corner's cell: ``(d + 1) ** (d - 1 / 2)`` in the units
    of the lattice, which has ``(d + 1) * sqrt(2 / 3)`` of them in a standard deviation.
    """
    return float((4 * pi / 3) ** (dimensions / 2) * sqrt(dimensions + 1))


def _simplices(
    features: Float[Tensor, "n d"],
) -> tuple[Int64[Tensor, "n simplex"], Int64[Tensor, "n simplex"], Float[Tensor, "n simplex"]]:
    """Return the corner of remainder 0 of each point's simplex, the ranks that name the simplex, and the shares."""
    size = features.shape[1] + 1
    with torch.autocast(features.device.type, enabled=False):
        lifted = features @ _basis(size - 1, features)
    origin = (lifted / size).round() * size
    offset = lifted - origin
    ranks = torch.zeros_like(origin, dtype=torch.int64)
    for one in range(size):
        for other in range(one + 1, size):
            is_lower = offset[:, one] < offset[:, other]
            ranks[:, one] += is_lower
            ranks[:, other] += ~is_lower
    # Rounding leaves the plane by so many steps; they are taken back where rounding cost most.
    excess = (origin.sum(1, keepdim=True) / size).round().long()
    ranks += excess
    wrapped = (ranks < 0).long() - (ranks >= size).long()
    ranks += wrapped * size
    origin = origin + wrapped * size
    offset = (lifted - origin) / size
    by_rank = torch.zeros_like(offset).scatter_(1, ranks, offset)
    shares = torch.empty_like(offset)
    # The k-th corner lies k steps from the origin: its share is the gap between two offsets that follow in rank.
    shares[:, 1:] = (by_rank[:, :-1] - by_rank[:, 1:]).flip(1)
    shares[:, 0] = 1 + by_rank[:, -1] - by_rank[:, 0]
    return origin.long(), ranks, shares


def _basis(dimensions: int, like: Tensor) -> Float[Tensor, "d simplex"]:
    """Return the axes of the plane in which coordinates sum to 0, as long as a standard deviation of the lattice."""
    size = dimensions + 1
    rows = torch.zeros(dimensions, size, dtype=torch.float64)
    for axis in range(dimensions):
        rows[axis, : axis + 1] = 1
        rows[axis, axis + 1] = -(axis + 1)
        rows[axis] /= sqrt((axis + 1) * (axis + 2))
    # Splatting, three-tap blur and slicing together have a variance of 2 / 3 of this unit squared.
    return (rows * size * sqrt(2 / 3)).to(like)


def _codes(
    origin: Int64[Tensor, "n simplex"], ranks: Int64[Tensor, "n simplex"]
) -> tuple[Int64[Tensor, "n simplex"], Int64[Tensor, " d"]]:
    """Return a whole number for each corner of each simplex, and how much a step along each coordinate adds to it.

    The last coordinate follows from the others.
    """
    size = origin.shape[1]
    low = origin.amin(0)[:-1] - 2 * size  # room for neighbours
    spans = origin.amax(0)[:-1] + 2 * size - low + 1
    total = 1
    for span in spans.tolist():
        total *= int(span)
    if total > _MOST_CODES:
        raise InputError(
            f"the points must lie within {_MOST_CODES:.1g} cells of the kernel; got {total:.2g}. Widen the kernel: its "
            "standard deviations are too small for the range of the features."
        )
    steps = torch.cat([spans.new_ones(1), spans[:-1].cumprod(0)])
    base = ((origin[:, :-1] - low) * steps).sum(1)
    added = steps.sum()  # of one step along all coordinates
    # Corner k adds k to every coordinate, and takes size from those of the k highest ranks.
    taken = torch.zeros_like(origin)
    taken.scatter_(1, ranks, torch.cat([steps * size, steps.new_zeros(1)]).expand_as(ranks))
    below = torch.cat([taken.new_zeros(len(taken), 1), taken.flip(1).cumsum(1)[:, :-1]], dim=1)
    return base[:, None] + torch.arange(size, device=origin.device) * added - below, steps


def _neighbours(codes: Int64[Tensor, " num_corners"], steps: Int64[Tensor, " d"]) -> Int64[Tensor, "simplex 2 n"]:
    size = len(steps) + 1
    ahead = steps.sum() - size * torch.cat([steps, steps.new_zeros(1)])  # one more everywhere but d less along one axis
    wanted = codes + torch.stack([-ahead, ahead], dim=1)[..., None]
    place = torch.searchsorted(codes, wanted).clamp_(max=len(codes) - 1)
    return torch.where(codes[place] == wanted, place, len(codes))
