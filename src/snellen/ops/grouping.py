"""Rows of unequal groups as one padded table, so that one tensor operation serves all groups."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

__all__ = ["GroupTable", "group_table"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupTable:
    """The members of each group that has any, side by side.

    Attributes:
        member: Row of each member in the caller's tensors, ascending within a group; 0 on padding.
        filled: False on padding.
        row: Row of the table that holds the group of each of the caller's rows; 0 for rows that are left out.
    """

    member: Int64[Tensor, "num_filled most"]
    filled: Bool[Tensor, "num_filled most"]
    row: Int64[Tensor, " num"]


def group_table(groups: Int64[Tensor, " num"], taken: Bool[Tensor, " num"]) -> GroupTable:
    """Lay rows out by group.

    The size of the table depends on the data, so the host waits for an accelerator.

    Args:
        groups: Group of each row, from 0.
        taken: False for rows that are left out.

    Source:
        A stable sort by group; ascending members make ties fall the same way everywhere.
    """
    source = taken.nonzero()[:, 0]
    order = source[groups[source].argsort(stable=True)]
    _, row, counts = torch.unique_consecutive(groups[order], return_inverse=True, return_counts=True)
    place = torch.arange(len(order), device=groups.device) - (counts.cumsum(0) - counts)[row]
    most = int(counts.max()) if len(order) else 0
    member = groups.new_zeros((len(counts), most))
    member[row, place] = order
    row_of = torch.zeros_like(groups)
    row_of[order] = row
    filled = torch.arange(most, device=groups.device) < counts[:, None]
    return GroupTable(member=member, filled=filled, row=row_of)
