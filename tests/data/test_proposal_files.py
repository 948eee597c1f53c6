"""Proposals from files: every format, what is tolerated, and what is refused with a reason."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from snellen.data.proposal_files import FileProposals, read_proposals
from snellen.errors import DatasetError


def write_json(folder, content, name="boxes.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def blank(height=30, width=40):
    return torch.zeros(3, height, width, dtype=torch.uint8)


def cells(values):
    array = np.empty((1, len(values)), dtype=object)
    for column, value in enumerate(values):
        array[0, column] = value
    return array


def test_json_by_score(tmp_path):
    file = write_json(
        tmp_path,
        [
            {"file_name": "a.jpg", "bbox": [1, 2, 3, 4], "score": 0.25},
            {"file_name": "b.jpg", "bbox": [0, 0, 5, 5], "score": 1},
            {"file_name": "a.jpg", "bbox": [10, 20.5, 30, 1], "score": 0.75},
        ],
    )
    found = read_proposals(file)
    assert found["a.jpg"].tolist() == [[10, 20.5, 40, 21.5], [1, 2, 4, 6]]
    assert found["b.jpg"].tolist() == [[0, 0, 5, 5]]
    assert found["a.jpg"].dtype == np.float32


def test_json_without_scores_keeps_its_order(tmp_path):
    file = write_json(tmp_path, [{"image_id": 7, "bbox": [x, 0, 2, 2]} for x in (5, 1, 3)])
    assert read_proposals(file)["7"][:, 0].tolist() == [5, 1, 3]


def test_npz(tmp_path):
    scored = np.array([[0, 0, 1, 1, 0.1], [0, 0, 2, 2, 0.9], [0, 0, 3, 3, 0.9]])
    np.savez(tmp_path / "boxes.npz", **{"train/a.jpg": scored, "b": np.array([[1, 2, 3, 4]]), "c": np.zeros((0, 4))})
    found = read_proposals(tmp_path / "boxes.npz")
    assert found["train/a.jpg"].tolist() == [[0, 0, 2, 2], [0, 0, 3, 3], [0, 0, 1, 1]]
    assert found["b"].tolist() == [[1, 2, 3, 4]]
    assert found["c"].shape == (0, 4)


def test_mat_of_the_authors(tmp_path):
    """Rows are y1, x1, y2, x2, counted from 1; the pixel (1, 1) alone is the box 0, 0, 1, 1."""
    boxes = [np.array([[1, 1, 1, 1], [2, 3, 10, 20]], dtype=np.uint16), np.array([[1.0, 1, 30, 40]]), np.zeros((0, 0))]
    savemat(tmp_path / "boxes.mat", {"boxes": cells(boxes), "images": cells(["000005", "000007", "000009"]).T})
    found = read_proposals(tmp_path / "boxes.mat")
    assert found["000005"].tolist() == [[0, 0, 1, 1], [2, 1, 20, 10]]
    assert found["000007"].tolist() == [[0, 0, 40, 30]]
    assert found["000009"].shape == (0, 4)


@pytest.mark.parametrize("suffix", [".pkl", ".PICKLE"])
def test_a_pickle_is_refused_unread(tmp_path, suffix):
    mark = tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (mark,))

    file = tmp_path / f"boxes{suffix}"
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DatasetError, match=r"executes code.*np\.savez"):
        read_proposals(file)
    assert not mark.exists()


def test_objects_in_an_npz_are_refused_unread(tmp_path):
    mark = tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (mark,))

    np.savez(tmp_path / "boxes.npz", a=np.array([Bomb()], dtype=object))
    with pytest.raises(DatasetError, match="plain number arrays"):
        read_proposals(tmp_path / "boxes.npz")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "JSON was expected"),
        ("[1", "JSON was expected"),
        ("[" * 100_000, "JSON was expected"),
        ("{}", "a list of objects.*got dict"),
        ("[]", "holds none"),
        ("[3]", r"entry 0 .*an object with bbox"),
        ([{"bbox": [1, 2, 3, 4]}], "file_name or image_id must name the image; got None"),
        ([{"file_name": True, "bbox": [1, 2, 3, 4]}], "must name the image; got True"),
        ([{"file_name": "", "bbox": [1, 2, 3, 4]}], "must name the image"),
        ([{"file_name": "a", "bbox": [1, 2, 3]}], r"bbox must be \[x, y, width, height\]"),
        ([{"file_name": "a", "bbox": [1, 2, 3, "4"]}], "bbox must be"),
        ([{"file_name": "a", "bbox": [1, 2, 3, True]}], "bbox must be"),
        ([{"file_name": "a", "bbox": "1 2 3 4"}], "bbox must be"),
        ([{"file_name": "a"}], "bbox must be"),
        ([{"file_name": "a", "bbox": [1, 2, 3, 4], "score": "high"}], "score a number"),
        (
            [{"file_name": "a", "bbox": [1, 2, 3, 4], "score": 1}, {"file_name": "a", "bbox": [1, 2, 3, 4]}],
            "all entries or none must have a score",
        ),
    ],
)
def test_bad_json(tmp_path, content, message):
    file = write_json(tmp_path, content)
    with pytest.raises(DatasetError, match=message) as caught:
        read_proposals(file)
    assert caught.value.file == file


@pytest.mark.parametrize(
    "values", [np.zeros((3, 6)), np.zeros(4), np.array([["a", "b", "c", "d"]]), np.zeros((1, 2, 4))]
)
def test_bad_arrays(tmp_path, values):
    np.savez(tmp_path / "boxes.npz", odd=values)
    with pytest.raises(DatasetError, match=r"odd: numbers \[n, 4\]"):
        read_proposals(tmp_path / "boxes.npz")


@pytest.mark.parametrize("suffix", ["npz", "mat"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"MATLAB 5.0 MAT-file, not really" * 9, bytes(300)])
def test_broken_binary_files(tmp_path, suffix, content):
    file = tmp_path / f"boxes.{suffix}"
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=f"boxes.{suffix}"):
        read_proposals(file)


def test_truncated_files(tmp_path):
    np.savez_compressed(tmp_path / "boxes.npz", a=np.random.default_rng(0).random((500, 4)))
    savemat(tmp_path / "boxes.mat", {"boxes": cells([np.ones((500, 4))]), "images": cells(["a"])})
    for name in ("boxes.npz", "boxes.mat"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(DatasetError, match=name):
            read_proposals(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"boxes": cells([np.ones((1, 4))])}, "images is missing"),
        ({"other": 1}, "boxes and images is missing"),
        ({"boxes": cells([np.ones((1, 4))]), "images": cells(["a", "b"])}, "of one length; got 1 and 2"),
        ({"boxes": np.ones((1, 4)), "images": cells(["a", "b", "c", "d"])}, "cell arrays"),
        ({"boxes": cells([np.ones((1, 4))]), "images": cells([3])}, "must hold names"),
        ({"boxes": cells([np.ones((1, 3))]), "images": cells(["a"])}, r"a: numbers \[n, 4\]"),
    ],
)
def test_bad_mat(tmp_path, content, message):
    savemat(tmp_path / "boxes.mat", content)
    with pytest.raises(DatasetError, match=message):
        read_proposals(tmp_path / "boxes.mat")


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(DatasetError, match="nothing is there"):
        read_proposals(tmp_path / "boxes.json")
    with pytest.raises(DatasetError, match=r"\.json, \.npz, \.mat; got '\.txt'"):
        read_proposals(tmp_path / "boxes.txt")


@pytest.fixture
def by_name(tmp_path):
    def build(*names, root=None):
        np.savez(tmp_path / "boxes.npz", **{name: np.array([[0, 0, 1 + row, 1]]) for row, name in enumerate(names)})
        return FileProposals(tmp_path / "boxes.npz", root=root)

    return build


@pytest.mark.parametrize("name", ["train/a.jpg", "a.jpg", "a", "./train/a.jpg", "train\\a.jpg", "elsewhere/a.jpg"])
def test_images_are_found_by_path_name_or_stem(by_name, tmp_path, name):
    proposals = by_name(name, "b", root=tmp_path)
    assert proposals(tmp_path / "train" / "a.jpg", blank()).tolist() == [[0, 0, 1, 1]]
    assert len(proposals) == 2


def test_the_path_wins_over_the_name(by_name, tmp_path):
    proposals = by_name("val/a.jpg", "train/a.jpg", root=tmp_path)
    assert proposals(tmp_path / "train" / "a.jpg", blank())[0, 2] == 2
    assert proposals(tmp_path / "val" / "a.jpg", blank())[0, 2] == 1


def test_the_name_wins_over_the_stem(by_name):
    proposals = by_name("a.png", "a.jpg")
    assert proposals(Path("a.jpg"), blank())[0, 2] == 2
    with pytest.raises(DatasetError, match=r"any of a\.png, a\.jpg"):
        proposals(Path("a.gif"), blank())


def test_names_in_doubt_are_refused(by_name):
    proposals = by_name("val/a.jpg", "train/a.jpg")
    with pytest.raises(DatasetError, match=r"any of val/a\.jpg, train/a\.jpg.*give that folder as root") as caught:
        proposals(Path("/data/train/a.jpg"), blank())
    assert caught.value.file.name == "boxes.npz"


def test_an_image_without_proposals_is_named(by_name):
    proposals = by_name("a.jpg", "b.jpg")
    with pytest.raises(DatasetError, match=r"boxes\.npz: proposals for c\.jpg .*a\.jpg, b\.jpg.*Add this image"):
        proposals(Path("c.jpg"), blank())


def test_boxes_are_clipped_dropped_and_counted(tmp_path):
    rows = [
        [0, 0, 40, 30],  # the whole image
        [-5, -5, 10, 10],  # clipped
        [30, 20, 50, 35],  # clipped
        [50, 0, 60, 10],  # outside
        [5, 5, 5, 9],  # no width
        [9, 9, 5, 12],  # turned round
        [np.nan, 0, 5, 5],
        [0, 0, np.inf, 5],
    ]
    np.savez(tmp_path / "boxes.npz", a=np.array(rows))
    proposals = FileProposals(tmp_path / "boxes.npz")
    found = proposals(Path("a.jpg"), blank())
    assert found.tolist() == [[0, 0, 40, 30], [0, 0, 10, 10], [30, 20, 40, 30]]
    assert found.dtype == torch.float32
    named = [(Path("a.jpg"), (30, 40)), (Path("unknown.jpg"), (30, 40))]
    assert proposals.faults(named) == {"all": 8, "clipped": 2, "dropped": 5}
    assert proposals.faults(named) == proposals.faults(named[:1])


def test_an_image_with_an_empty_list_is_no_fault(tmp_path):
    np.savez(tmp_path / "boxes.npz", a=np.zeros((0, 4)), b=np.ones((1, 4)))
    assert FileProposals(tmp_path / "boxes.npz")(Path("a.jpg"), blank()).shape == (0, 4)


def test_can_be_pickled(by_name):
    proposals = pickle.loads(pickle.dumps(by_name("a.jpg")))
    assert proposals(Path("a.jpg"), blank()).shape == (1, 4)
