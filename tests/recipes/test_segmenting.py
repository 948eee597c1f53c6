"""Classical segmenters on images without a training, and as runs like any other."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import snellen
from snellen.errors import ConfigError, DatasetError, InputError
from snellen.evaluation import read_predictions
from snellen.recipes import segment, segment_files
from snellen.structures import SegmentationMap


def picture(size=(40, 60), seed=0):
    """A bright thing on a dark ground."""
    truth = np.zeros(size, dtype=bool)
    truth[size[0] // 4 : -size[0] // 4, size[1] // 4 : -size[1] // 3] = True
    noise = np.random.default_rng(seed).normal(0, 8, (*size, 3))
    image = np.where(truth[..., None], (200, 150, 90), (50, 80, 120)) + noise
    return np.clip(image, 0, 255).astype(np.uint8), truth


@pytest.fixture
def photo(tmp_path):
    image, _ = picture()
    Image.fromarray(image).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_arrays_tensors_and_files_are_cut_alike(photo):
    image, truth = picture()
    found = [segment(kind, "otsu") for kind in (image, torch.from_numpy(image).permute(2, 0, 1), photo, str(photo))]
    for one in found:
        assert one.classes == ("background", "foreground")
        assert not one.is_plain
        assert one.reduced_to is None
        np.testing.assert_array_equal(one.map.labels.numpy(), found[0].map.labels.numpy())
    assert ((found[0].map.labels.numpy() == 1) == truth).mean() > 0.99


def test_settings_change_the_cut():
    image, _ = picture()
    few = segment(image, "slic", settings={"number": 10}).regions.max()
    many = segment(image, "slic", settings={"settings.number": 60}).regions.max()
    assert few < many
    with pytest.raises(ConfigError, match=r"no setting 'settings.numbr'.*settings.number"):
        segment(image, "slic", settings={"numbr": 10})


def test_a_box_and_marks():
    image, truth = picture()
    boxed = segment(image, "grabcut", box=(10, 6, 46, 34))
    assert ((boxed.map.labels.numpy() == 1) == truth).mean() > 0.98
    seeds = np.zeros(truth.shape, dtype=np.int32)
    seeds[0], seeds[18:22, 20:30], seeds[-1] = 1, 2, 1
    marked = segment(image, "watershed", seeds=seeds)
    assert ((marked.map.labels.numpy() == 1) == truth).mean() > 0.97
    with pytest.raises(InputError, match="a box must be x0,y0,x1,y1; got 3 numbers"):
        segment(image, "grabcut", box=(1, 2, 3))
    with pytest.raises(InputError, match="otsu can be told nothing; got box"):
        segment(image, "otsu", box=(1, 2, 30, 30))


def test_marks_of_a_third_class():
    image, truth = picture()
    seeds = np.zeros(truth.shape, dtype=np.int32)
    seeds[0], seeds[20, 20:30], seeds[-2:, 2:6] = 1, 2, 3
    found = segment(image, "watershed", seeds=seeds)
    assert found.classes == ("background", "foreground", "class 2")
    assert set(np.unique(found.map.labels)) == {0, 1, 2}


def test_a_large_image_is_cut_smaller_and_enlarged():
    image, truth = picture((600, 900))
    seeds = np.zeros(truth.shape, dtype=np.int32)
    seeds[3, ::7], seeds[300, 400:420] = 1, 2  # thin marks must not get lost
    found = segment(image, "region_growing", seeds=seeds)
    assert found.reduced_to is not None
    assert found.reduced_to[0] * found.reduced_to[1] <= 2**18
    assert found.map.labels.shape == found.regions.shape == truth.shape
    assert ((found.map.labels.numpy() == 1) == truth).mean() > 0.98
    boxed = segment(image, "graph_cut", box=(150, 100, 700, 500))
    assert ((boxed.map.labels.numpy() == 1) == truth).mean() > 0.98


def test_other_models_must_be_trained_first():
    with pytest.raises(ConfigError, match=r"no classical segmenter 'unet_resnet18'.*trained first"):
        segment(picture()[0], "unet_resnet18")


@pytest.mark.parametrize("image", [np.zeros((4, 4), dtype=np.uint8), np.zeros((4, 4, 3)), torch.zeros(4, 4, 3)])
def test_an_image_is_rgb_of_eight_bits(image):
    with pytest.raises(InputError, match="an image must be uint8 RGB"):
        segment(image, "otsu")


def test_files_get_maps_regions_and_pictures(tmp_path, photo):
    (tmp_path / "more").mkdir()
    Image.fromarray(picture(seed=1)[0]).save(tmp_path / "more" / "photo.png")  # of the same name
    (tmp_path / "broken.png").write_bytes(b"no image")
    summary = segment_files(tmp_path, "felzenszwalb", folder=tmp_path / "out")
    assert len(summary.predictions) == 2
    assert list(summary.skipped) == [str(tmp_path / "broken.png")]
    assert sorted(path.name for path in (tmp_path / "out" / "drawn").iterdir()) == ["photo-2.jpg", "photo.jpg"]
    stored = list(read_predictions(tmp_path / "out", SegmentationMap))
    assert [one.source for one in stored] == [one.source for one in summary.predictions]
    regions = np.asarray(Image.open(tmp_path / "out" / "regions" / "photo.png"))
    np.testing.assert_array_equal(regions, segment(stored[0].source, "felzenszwalb").regions)


def test_without_a_folder_it_is_named_after_the_method(tmp_path, photo, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert segment_files(photo, "otsu", drawn=False).folder.as_posix() == "predictions/otsu"
    again = segment_files(photo, "otsu", drawn=False)
    assert again.folder.as_posix() == "predictions/otsu-2"
    assert not (again.folder / "drawn").exists()


def test_marks_for_each_image_lie_in_a_folder(tmp_path, photo):
    marks = tmp_path / "marks"
    marks.mkdir()
    (marks / "photo.csv").write_text("x,y,mark\n3,3,1\n25,20,2\n")
    summary = segment_files(photo, "watershed", seeds=marks, folder=tmp_path / "out")
    assert len(summary.predictions) == 1
    Image.fromarray(picture()[0]).save(tmp_path / "other.png")
    with pytest.raises(InputError, match=r"there is none for other\.png"):
        segment_files([photo, tmp_path / "other.png"], "watershed", seeds=marks, folder=tmp_path / "out")
    with pytest.raises(InputError, match="a file of marks is for one image; got 2 images"):
        segment_files([photo, tmp_path / "other.png"], "watershed", seeds=marks / "photo.csv", folder=tmp_path / "out")


def test_wrong_marks_are_told_with_their_file(tmp_path, photo):
    (tmp_path / "marks.csv").write_text("x,y,mark\n300,3,1\n")
    with pytest.raises(InputError, match=r"marks.csv:2: expected a place within the image"):
        segment_files(photo, "watershed", seeds=tmp_path / "marks.csv", folder=tmp_path / "out")
    with pytest.raises(DatasetError, match=r"marks.csv:2"):
        segment(photo, "watershed", seeds=tmp_path / "marks.csv")


def test_what_a_method_cannot_be_told_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(InputError, match="kmeans can be told nothing; got box"):
        segment_files(tmp_path / "gone.png", "kmeans", box=(1, 2, 3, 4), folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def pairs(tmp_path):
    """A data set of ten images with masks."""
    for number in range(10):
        image, truth = picture((64, 64 + 2 * number), seed=number)
        for part, pixels in (("images", image), ("masks", truth.astype(np.uint8))):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "data" / part / f"{number}.png")
    return tmp_path / "data"


@pytest.mark.parametrize("name", ["otsu", "watershed", "slic"])
def test_a_classical_segmenter_is_trained_measured_and_used_like_any_other(pairs, tmp_path, name):
    run = snellen.train(pairs, model=name, folder=tmp_path / "run", image_size=64, device="cpu", check=False)
    assert run.record["model"] == name
    assert "epochs" not in run.record["reasons"]
    (stage,) = json.loads((run.folder / "stages.json").read_text())
    assert stage["kind"] == "fit"
    assert stage["facts"]["settings"]
    assert run.results["test"].scalars["mIoU"] > 0.9
    assert run.report.is_file()
    again = snellen.evaluate(run, split="test")
    assert again.scalars == run.results["test"].scalars
    image = pairs / "images" / "3.png"
    summary = snellen.predict(run, image, folder=tmp_path / "found")
    assert isinstance(summary.predictions[0].prediction, SegmentationMap)


def test_settings_by_hand_reach_a_run(pairs, tmp_path):
    run = snellen.train(
        pairs, model="kmeans", folder=tmp_path / "run", image_size=64, device="cpu", check=False,
        model_options={"settings.clusters": 7, "appearance.texture": False},
    )  # fmt: skip
    model = run.load()
    assert model.used_settings().clusters == 7
    assert model.fitted.arrays()["means"].shape[1] == 3
