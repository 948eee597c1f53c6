"""The table of groups against a plain loop."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.ops.grouping import group_table


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 7, 1000]), st.booleans()), max_size=20))
@settings(deadline=None)
def test_is_the_plain_loop(values):
    groups = torch.tensor([group for group, _ in values], dtype=torch.long)
    taken = torch.tensor([is_taken for _, is_taken in values], dtype=torch.bool)
    table = group_table(groups, taken)
    expected = {}
    for row, (group, is_taken) in enumerate(values):
        if is_taken:
            expected.setdefault(group, []).append(row)
    members = [expected[group] for group in sorted(expected)]
    got = [row[filled].tolist() for row, filled in zip(table.member, table.filled, strict=True)]
    assert got == members
    assert table.member.shape == (len(members), max(map(len, members), default=0))
    for row, (_, is_taken) in enumerate(values):
        assert not is_taken or row in members[table.row[row]]
