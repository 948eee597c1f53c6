"""Selection, description, sharing with processes."""

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.data import BoxTable, DatasetIndex
from snellen.data.segments import Segments
from snellen.data.sharing import Strings, ragged_rows
from snellen.errors import InputError


def index_of(objects_per_image, *, outlined=True, seed=0):
    """An index whose object ``i`` has the box (i, i, i + 1, i + 2) and, every second one, a polygon of its number."""
    count, number = sum(objects_per_image), len(objects_per_image)
    places = np.arange(count, dtype=np.float32)
    with_polygon = (np.arange(count) % 2 == 0).astype(np.int64)
    polygons = int(with_polygon.sum())
    segments = Segments(
        points=np.repeat(places[::2], 6),
        polygon_offsets=np.arange(polygons + 1) * 6,
        object_offsets=np.concatenate([[0], np.cumsum(with_polygon)]),
        runs=np.repeat(np.arange(count) % 251, np.arange(count) % 3).astype(np.uint8),
        run_offsets=np.concatenate([[0], np.cumsum(np.arange(count) % 3)]).astype(np.int64),
        run_sizes=np.ones((count, 2), np.int32),
    )
    table = BoxTable(
        offsets=np.concatenate([[0], np.cumsum(objects_per_image)]).astype(np.int64),
        boxes=np.stack([places, places, places + 1, places + 2], 1),
        labels=(np.arange(count) % 3).astype(np.int32),
        flags=np.zeros(count, np.uint8),
        segments=segments if outlined else None,
        image_ids=np.arange(number) + 100,
    )
    return DatasetIndex(
        root=Path("data"),
        format="coco",
        classes=("a", "b", "c"),
        paths=Strings.pack([f"ü{row}.png" for row in range(number)]),
        annotations=table,
        sizes=np.full((number, 2), 50, np.int32),
        splits=(np.arange(number) % 2).astype(np.int16),
        split_names=("train", "val"),
        attributes={"row": np.arange(number)},
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.data())
def test_select_equals_lists(objects_per_image, data):
    index = index_of(objects_per_image)
    rows = data.draw(st.lists(st.integers(0, len(objects_per_image) - 1), max_size=10))
    chosen = index.select(rows)
    assert len(chosen) == len(rows)
    starts = np.cumsum([0, *objects_per_image])
    for place, row in enumerate(rows):
        assert chosen.paths[place] == f"ü{row}.png"
        assert chosen.attributes["row"][place] == row
        assert chosen.annotations.image_ids[place] == row + 100
        own = chosen.annotations.rows(place)
        numbers = list(range(starts[row], starts[row + 1]))
        assert chosen.annotations.boxes[own, 0].tolist() == numbers
        for entry, number in zip(range(own.start, own.stop), numbers, strict=True):
            polygons = chosen.annotations.segments.polygons(entry)
            assert [polygon.tolist() for polygon in polygons] == ([] if number % 2 else [[float(number)] * 6])
            runs = chosen.annotations.segments.run_lengths(entry)
            assert (b"" if runs is None else runs["counts"]) == bytes([number % 251] * (number % 3))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.data())
def test_ragged_rows(lengths, data):
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=9))
    flat = np.arange(sum(lengths))
    offsets = np.cumsum([0, *lengths])
    pieces = [flat[offsets[row] : offsets[row + 1]] for row in rows]
    new_offsets, elements = ragged_rows(offsets, np.array(rows, np.int64))
    assert flat[elements].tolist() == [number for piece in pieces for number in piece]
    assert np.diff(new_offsets).tolist() == [len(piece) for piece in pieces]


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=("Cs",)))))
def test_strings(values):
    packed = Strings.pack(values)
    assert [packed[row] for row in range(len(packed))] == values


def test_names_that_are_no_unicode():
    assert Strings.pack(["a\udcff.png"])[0] == "a\udcff.png"


def test_splits_and_mistakes():
    index = index_of([1, 2, 0, 3])
    assert [index.split("val").paths[row] for row in range(2)] == ["ü1.png", "ü3.png"]
    with pytest.raises(InputError, match="Did you mean 'train'"):
        index.split("trian")
    with pytest.raises(InputError, match=r"0\.\.3"):
        index.select([4])
    assert len(index.select(np.array([True, False, False, True]))) == 2


def test_description():
    found = index_of([1, 2, 0, 3]).describe()
    assert found.images_per_split == {"train": 2, "val": 2}
    assert found.objects_per_class == {"train": {"a": 1, "b": 0, "c": 0}, "val": {"a": 1, "b": 2, "c": 2}}
    assert found.images_without_objects == {"train": 1, "val": 0}
    assert found.box_size_px == (1.41, 1.41, 1.41, 1.41, 1.41)
    assert found.image_heights == (50, 50, 50)


def test_fingerprint():
    index = index_of([1, 2, 0, 3])
    assert index.fingerprint() == index_of([1, 2, 0, 3]).fingerprint()
    assert index.fingerprint() != index.select([0, 1, 3, 2]).fingerprint()
    assert index.fingerprint() != index_of([1, 2, 0, 3], outlined=False).fingerprint()


def test_pickle():
    index = index_of([3] * 5000)
    again = pickle.loads(pickle.dumps(index))
    assert again.fingerprint() == index.fingerprint()


@pytest.fixture
def importable(monkeypatch):
    """Let spawned processes import this module; one that cannot would leave the test waiting for ever."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


def _look(index, queue):
    queue.put((index.fingerprint(), float(index.annotations.boxes.sum())))


def _scribble(index, queue):
    index.annotations.boxes[0, 0] = 77.0
    queue.put(True)


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_see_the_same(method, importable):
    index = index_of([3] * 5000)
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    workers = [context.Process(target=_look, args=(index, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [queue.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    assert found == [(index.fingerprint(), float(index.annotations.boxes.sum()))] * 2


def test_spawned_workers_share_and_do_not_copy(importable):
    index = index_of([3] * 5000)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    worker = context.Process(target=_scribble, args=(index, queue))
    worker.start()
    queue.get(timeout=120)
    worker.join()
    assert index.annotations.boxes[0, 0] == 77.0  # written by the other process into the same memory
