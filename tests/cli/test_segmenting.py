"""snellen predict --model: classical segmenters without a run."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photo(tmp_path):
    image = np.full((30, 40, 3), 60, dtype=np.uint8)
    image[8:22, 10:30] = (200, 160, 90)
    Image.fromarray(image).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_images_are_cut_without_a_run(call, photo, tmp_path):
    said = call("predict", "--model", "otsu", photo, photo, "--out", tmp_path / "out")
    assert said.code == 0
    assert "1 predicted, 0 skipped" in said.out + said.err
    assert said.out.splitlines()[-1] == str(tmp_path / "out")
    labels = np.asarray(Image.open(tmp_path / "out" / "maps" / "00000000.png"))
    assert (labels == 1).sum() == 14 * 20


def test_box_marks_and_settings(call, photo, tmp_path):
    boxed = call(
        "predict", "--model", "grabcut", photo, "--box", "6,4,34,26", "--set", "smoothness=10", "--out", tmp_path / "a"
    )
    assert boxed.code == 0
    (tmp_path / "marks.csv").write_text("x,y,mark\n3,3,1\n20,15,2\n")
    marked = call("predict", "--model", "watershed", photo, "--seeds", tmp_path / "marks.csv", "--out", tmp_path / "b")
    assert marked.code == 0
    for folder in ("a", "b"):
        labels = np.asarray(Image.open(tmp_path / folder / "maps" / "00000000.png"))
        assert abs((labels == 1).sum() - 14 * 20) < 30


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "ottsu"), "Did you mean 'otsu'"),
        (("--model", "otsu", "--tile", "64"), "--tile is for a run"),
        (("--model", "otsu", "--device", "cpu"), "--device is for a run"),
        (("--model", "grabcut", "--box", "1,2,a,4"), "--box must be x0,y0,x1,y1"),
        (("--model", "otsu", "--box", "1,2,3,4"), "otsu can be told nothing; got box"),
        (("--model", "slic", "--set", "numbr=3"), "no setting"),
        (("--box", "1,2,3,4"), "are for classical segmenters"),
        ((), "predict expects images behind the folder of a run"),
    ],
)
def test_what_does_not_go_together_is_told(call, photo, words, message):
    said = call("predict", photo, *words)
    assert said.code == 2
    assert message in said.err
    assert "Traceback" not in said.err
