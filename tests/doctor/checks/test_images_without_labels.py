"""D3 (DX-013)."""

import pytest

from snellen.data import load
from snellen.doctor import Status
from snellen.doctor.evidence.naming import plain_stem

LINE = "0 .5 .5 .2 .2\n"


def test_empty_label_files_are_fine(annotated, judged):
    assert judged("D3", load(annotated.yolo([LINE, "", "", ""]))).status == Status.PASSED


@pytest.mark.parametrize(("lacking", "expected"), [(1, "INFO empty"), (4, "INFO empty"), (6, "WARNING empty")])
def test_images_without_a_file_count_as_empty(annotated, judged, messages, lacking, expected):
    folder = annotated.yolo([LINE] * (10 - lacking) + [None] * lacking)
    assert messages(judged("D3", load(folder))) == [expected]


@pytest.mark.parametrize(("wrong", "level"), [(1, "WARNING"), (6, "ERROR")])
def test_names_that_nearly_agree(annotated, judged, messages, wrong, level):
    folder = annotated.yolo([LINE] * 10)
    for number in range(wrong):
        (folder / "labels" / f"{number}.txt").rename(folder / "labels" / f"{number} (1).txt")
    result = judged("D3", load(folder))
    assert messages(result) == [f"{level} orphans", f"{level} unlabelled", "WARNING near_miss"]
    assert result.findings[2].num_places == wrong
    assert (result.findings[2].places[0].name, result.findings[2].places[0].twin) == (
        "images/0.png", "labels/0 (1).txt",
    )  # fmt: skip


def test_images_that_labels_name_lie_there_in_capitals(annotated, judged, said):
    folder = annotated.coco("train", [[(5, 5, 9, 9)]] * 4)
    (folder / "train" / "2.png").rename(folder / "train" / " 2.PNG")
    assert said(judged("D3", load(folder))) == [
        "1 of 4 labels have no image and are left out (75.0 % match).",
        "1 names nearly agree and do not match, such as train/2.png and train/ 2.PNG.",
    ]


def test_class_folders_have_no_labels_to_lose(annotated, judged):
    annotated.image("cat/a.png", (9, 9))
    annotated.image("dog/b.png", (9, 9))
    assert judged("D3", load(annotated.root)).status == Status.NOT_CHECKABLE


@pytest.mark.parametrize("name", ["a_b.jpg", "A B.JPEG", " a-b .png", "a b (2).txt", "a_b - Copy.jpg", "a_b.jpg.txt"])
def test_plain_stem(name):
    assert plain_stem(name) == "a_b"


def test_plain_stem_keeps_numbers():
    assert plain_stem("img_1.5.png") != plain_stem("img_1.6.png")
    assert plain_stem("frame.001.jpg") != plain_stem("frame.002.jpg")
