"""The verb predict: whatever a user points it at."""

import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import snellen
from snellen import recipes
from snellen.errors import CheckpointError, ConfigError, InputError
from snellen.structures import ClassScores, Detections, SegmentationMap

OF_KIND = {"boxes": Detections, "classes": ClassScores, "masks": SegmentationMap}


def picture(width=64, height=48, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpg", "more/c.png")):
        Image.fromarray(picture(seed=number)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def write_video(file, frames=3, size=(64, 48)):
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, size)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(picture(*size, seed=number))
    writer.release()
    return file


@pytest.mark.parametrize("kind", OF_KIND)
def test_a_folder_of_images(trained, photos, tmp_path, kind):
    out = tmp_path / "out"
    summary = snellen.predict(trained(kind), photos, folder=out)
    assert [found.source for found in summary.predictions] == [
        str(photos / name) for name in ("a.png", "b.jpg", "more/c.png")
    ]
    assert not summary.skipped
    assert all(type(found.prediction) is OF_KIND[kind] for found in summary.predictions)
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == [found.source for found in summary.predictions]
    assert all((line["height"], line["width"]) == (48, 64) for line in lines)
    drawn = sorted(file.name for file in (out / "drawn").iterdir())
    assert drawn == ["a.jpg", "b.jpg", "c.jpg"]
    assert (out / "predictions.coco.json").exists() == (kind == "boxes")


def test_masks_have_the_size_of_the_file(trained, photos, tmp_path):
    found = snellen.predict(trained("masks"), photos / "a.png", folder=tmp_path / "out").predictions[0]
    assert found.prediction.labels.shape == (48, 64)
    assert found.prediction.confidence.min() >= 0


def test_boxes_lie_in_the_file(trained, charts, tmp_path):
    summary = snellen.predict(trained("boxes"), charts["boxes"] / "test", folder=tmp_path / "out", min_score=0)
    for found in summary.predictions:
        boxes = found.prediction.boxes
        assert boxes.numel() == 0 or (boxes.min() >= 0 and boxes.max() <= 64)
    coco = json.loads((tmp_path / "out" / "predictions.coco.json").read_text())
    assert len(coco) == sum(len(found.prediction.scores) for found in summary.predictions)


def test_one_file_and_a_pattern(trained, photos, tmp_path):
    run = trained("classes")
    assert len(snellen.predict(run, str(photos / "a.png"), folder=tmp_path / "1").predictions) == 1
    assert len(snellen.predict(run, str(photos / "*.png"), folder=tmp_path / "2").predictions) == 1
    assert len(snellen.predict(run, str(photos / "**" / "*.png"), folder=tmp_path / "3").predictions) == 2


def test_a_file_named_twice_is_predicted_once(photos):
    assert recipes.image_files([photos / "a.png", photos, str(photos / "*.png")]) == [
        photos / name for name in ("a.png", "b.jpg", "more/c.png")
    ]


def test_relative_patterns(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    assert [str(file) for file in recipes.image_files(["photos/*.jpg"])] == ["photos/b.jpg"]


def test_names_with_brackets_are_names(tmp_path):
    file = tmp_path / "a[1].png"
    Image.fromarray(picture()).save(file)
    assert recipes.image_files([file]) == [file]


@pytest.mark.parametrize("source", ["gone.jpg", "photos/*.tif", "empty"])
def test_nothing_there(photos, monkeypatch, source):
    monkeypatch.chdir(photos.parent)
    (photos.parent / "empty").mkdir()
    with pytest.raises(InputError, match=r"gives none\. Check the path") as caught:
        recipes.image_files([source])
    assert repr(source) in str(caught.value)


def unusual(folder):
    grey = (np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 20).astype(np.uint16)
    Image.fromarray(grey).save(folder / "sixteen.png")
    Image.fromarray(picture()).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(picture()).convert("L").save(folder / "grey.png")
    Image.fromarray(picture()).convert("P").save(folder / "palette.png")
    Image.fromarray(np.dstack([picture(), picture()[..., 0]])).save(folder / "alpha.png")
    Image.fromarray(picture()[..., 0] > 99).save(folder / "bits.png")
    Image.fromarray(picture(1, 1)).save(folder / "dot.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(picture()).save(folder / "turned.jpg", exif=turned)


@pytest.mark.parametrize("kind", OF_KIND)
def test_unusual_images(trained, tmp_path, kind):
    folder = tmp_path / "unusual"
    folder.mkdir()
    unusual(folder)
    summary = snellen.predict(trained(kind), folder, folder=tmp_path / "out")
    sizes = {found.source.rsplit("/", 1)[-1]: found.size for found in summary.predictions}
    assert len(sizes) == 8
    assert not summary.skipped
    assert sizes["turned.jpg"] == (64, 48)
    assert sizes["dot.png"] == (1, 1)


def test_broken_files_are_skipped_and_named(trained, photos, tmp_path):
    (photos / "b.jpg").write_bytes((photos / "b.jpg").read_bytes()[:700])
    (photos / "d.png").write_bytes(b"")
    summary = snellen.predict(trained("classes"), photos, folder=tmp_path / "out")
    assert len(summary.predictions) == 2
    assert sorted(summary.skipped) == [str(photos / "b.jpg"), str(photos / "d.png")]
    assert all(file in reason for file, reason in summary.skipped.items())
    assert len((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()) == 2


def test_nothing_but_broken_files(trained, photos, tmp_path):
    with pytest.raises(InputError, match=r"none of 1 files could be read:\n.*notes\.txt"):
        snellen.predict(trained("classes"), photos / "notes.txt", folder=tmp_path / "out")


@pytest.mark.parametrize("kind", OF_KIND)
def test_a_video(trained, tmp_path, kind):
    video = write_video(tmp_path / "film.avi")
    summary = snellen.predict(trained(kind), video, folder=tmp_path / "out")
    assert [found.source for found in summary.predictions] == [f"{video}#{number}" for number in range(3)]
    drawn = cv2.VideoCapture(str(tmp_path / "out" / "drawn" / "film.mp4"))
    count = 0
    while drawn.read()[0]:
        count += 1
    drawn.release()
    assert count == 3


def test_videos_and_images_together(trained, tmp_path, photos):
    write_video(photos / "film.avi", 2)
    write_video(photos / "more" / "film.avi", 1)
    summary = snellen.predict(trained("classes"), photos, folder=tmp_path / "out")
    assert len(summary.predictions) == 6
    assert {file.name for file in (tmp_path / "out" / "drawn").iterdir()} == {
        "a.jpg", "b.jpg", "c.jpg", "film.mp4", "film-2.mp4",
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"RIFF nothing", None])
def test_a_damaged_video(trained, tmp_path, photos, content, capfd):
    video = photos / "film.avi"
    if content is None:
        content = write_video(video).read_bytes()[:300]
    video.write_bytes(content)
    summary = snellen.predict(trained("classes"), photos, folder=tmp_path / "out")
    assert list(summary.skipped) == [str(video)]
    assert "expected a video" in summary.skipped[str(video)]


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_tiles(trained, tmp_path, kind):
    file = tmp_path / "large.png"
    Image.fromarray(picture(150, 100)).save(file)
    (found,) = snellen.predict(trained(kind), file, folder=tmp_path / "out", tile=64, min_score=0).predictions
    assert found.size == (100, 150)
    if kind == "masks":
        assert found.prediction.labels.shape == (100, 150)
    if kind == "boxes" and found.prediction.boxes.numel():
        assert found.prediction.boxes[:, 0::2].max() <= 150
        assert found.prediction.boxes[:, 1::2].max() <= 100


def test_tiles_change_nothing_where_one_is_enough(trained, tmp_path):
    file = tmp_path / "a.png"
    Image.fromarray(picture(64, 64)).save(file)
    plain, tiled = (
        snellen.predict(trained("masks"), file, folder=tmp_path / str(tile), tile=tile).predictions[0].prediction
        for tile in (None, 64)
    )
    assert torch.equal(plain.labels, tiled.labels)


def test_tiles_are_not_for_whole_images(trained, photos, tmp_path):
    with pytest.raises(ConfigError, match=r"resnet18 judges an image as a whole. Leave it out"):
        snellen.predict(trained("classes"), photos, folder=tmp_path / "out", tile=64)


@pytest.mark.parametrize("tile", [0, -5, 8])
def test_tile_too_small(trained, photos, tmp_path, tile):
    with pytest.raises(ConfigError, match=f"tile must be at least .* px for this model; got {tile}"):
        snellen.predict(trained("masks"), photos, folder=tmp_path / "out", tile=tile)


@pytest.mark.parametrize("score", [-0.1, 1.5, float("nan")])
def test_score_out_of_range(trained, photos, tmp_path, score):
    with pytest.raises(ConfigError, match=r"min_score must lie in 0\.\.1"):
        snellen.predict(trained("classes"), photos, folder=tmp_path / "out", min_score=score)


def test_without_drawing(trained, photos, tmp_path):
    snellen.predict(trained("classes"), photos, folder=tmp_path / "out", drawn=False)
    assert not (tmp_path / "out" / "drawn").exists()


def test_beside_the_run_if_not_said(run_at, photos):
    run = run_at()
    assert snellen.predict(run.folder, photos).folder == run.folder / "predictions"


def test_no_weights(run_at, photos):
    run = run_at()
    (run.folder / "checkpoints" / "best.pt").unlink()
    with pytest.raises(CheckpointError, match=r"Train first"):
        snellen.predict(run, photos)


def test_without_the_video_package(trained, tmp_path, monkeypatch):
    video = write_video(tmp_path / "film.avi")
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(snellen.SnellenError, match=r'pip install "snellen\[video\]"'):
        snellen.predict(trained("classes"), video, folder=tmp_path / "out")
