import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.errors import InputError
from snellen.evaluation import METRICS, evaluate, from_json, to_json
from snellen.structures import Curve, ImageScore, Matrix, Results, Series, Table

numbers = st.floats()
lines = st.lists(numbers, max_size=3).map(tuple)
names = st.text(max_size=5)
cells = st.one_of(st.none(), st.integers(-(2**60), 2**60), numbers, names)
tables = st.builds(
    Table,
    title=names,
    columns=st.just(("a", "b")),
    rows=st.lists(st.tuples(cells, cells)).map(tuple),
    note=names,
)
curves = st.builds(
    Curve,
    title=names,
    x_label=names,
    y_label=names,
    series=st.lists(st.builds(Series, name=names, x=lines, y=lines), max_size=2).map(tuple),
)
matrices = st.builds(
    Matrix,
    title=names,
    row_names=st.just(("a",)),
    column_names=st.just(("b",)),
    values=st.lists(lines, max_size=2).map(tuple),
)
every = st.builds(
    Results,
    headline=names,
    scalars=st.dictionaries(names, numbers, max_size=4),
    tables=st.lists(tables, max_size=2).map(tuple),
    curves=st.lists(curves, max_size=2).map(tuple),
    matrices=st.lists(matrices, max_size=2).map(tuple),
    per_image=st.lists(
        st.builds(ImageScore, index=st.integers(0, 9), quality=numbers, uncertainty=numbers), max_size=2
    ).map(tuple),
)


@settings(max_examples=50, deadline=None)
@given(every)
def test_nothing_is_lost(results):
    back = from_json(to_json(results))
    assert repr(back) == repr(results)  # repr tells 1 from 1.0 and equals itself for nan
    assert repr(back.per_image) == repr(results.per_image)
    assert list(back.scalars) == list(results.scalars)


def test_it_is_plain_json(model, batches, truth_of, kind, classes):
    results = evaluate(model, batches, truth_of, METRICS[kind](classes), device="cpu")
    content = json.loads(to_json(results), parse_constant=pytest.fail)
    nans = [name for name, value in results.scalars.items() if math.isnan(value)]
    assert [name for name, value in content["scalars"].items() if value is None] == nans
    assert repr(from_json(to_json(results))) == repr(results)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', '{"version": 1, "headline": "a", "scalars": 3}'])
def test_other_text_is_refused(text):
    with pytest.raises(InputError, match="expected results written by to_json"):
        from_json(text)


def test_other_versions_are_refused():
    with pytest.raises(InputError, match="got version 99"):
        from_json('{"version": 99}')
