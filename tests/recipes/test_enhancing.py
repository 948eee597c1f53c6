"""The verb enhance: whatever a user points it at."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import snellen
from snellen.data import load
from snellen.errors import ConfigError, InputError
from snellen.imaging import OPERATIONS, enhanced
from snellen.recipes import operation_list

ORIENTATION = 0x0112


def scene(seed: int, size: tuple[int, int] = (96, 72)) -> np.ndarray:
    """Coloured clouds with dark and bright things before them; ``size`` is width, height."""
    chance = np.random.default_rng(seed)
    clouds = Image.fromarray(chance.integers(40, 216, (9, 12, 3), dtype=np.uint8))
    pixels = np.array(clouds.resize(size, Image.Resampling.BICUBIC))
    for level in (15, 60, 200, 240):
        top, left = chance.integers(0, size[1] - 16), chance.integers(0, size[0] - 16)
        pixels[top : top + 16, left : left + 16] = level
    return pixels


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpg", "more/c.png")):
        Image.fromarray(scene(number)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def pixels(file) -> np.ndarray:
    return np.asarray(Image.open(file))


def test_a_folder_keeps_its_names_and_its_originals(photos, tmp_path):
    before = {file: file.read_bytes() for file in photos.rglob("*") if file.is_file()}
    summary = snellen.enhance(photos, operations="gamma:gamma=0.5,median", folder=tmp_path / "out")
    assert sorted(str(file.relative_to(summary.folder)) for file in summary.folder.rglob("*.[pj]*g")) == [
        "a.png", "b.jpg", "more/c.png"
    ]  # fmt: skip
    for name in ("a.png", "more/c.png"):
        expected = enhanced(pixels(photos / name), "gamma:gamma=0.5,median")
        assert np.array_equal(pixels(summary.folder / name), expected)
    assert {file: file.read_bytes() for file in before} == before
    assert {image.operations for image in summary.images} == {("gamma:gamma=0.5", "median")}
    assert not summary.skipped
    assert summary.sheet is None


def test_annotations_still_fit(charts, tmp_path):
    """A data set whose images are written anew is the same data set."""
    plain = load(charts["boxes"])
    copy = tmp_path / "copy"
    snellen.enhance(charts["boxes"], operations="clahe", folder=copy, workers=0)
    for file in charts["boxes"].rglob("*.json"):
        place = copy / file.relative_to(charts["boxes"])
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    again = load(copy)
    assert not np.array_equal(pixels(plain.path(0)), pixels(again.path(0)))
    assert list(again.paths) == list(plain.paths)
    assert np.array_equal(again.annotations.boxes, plain.annotations.boxes)


def test_broken_files_are_skipped_and_named(photos, tmp_path):
    (photos / "d.png").write_bytes(b"nothing")
    stream = io.StringIO()
    summary = snellen.enhance(
        photos, operations="clahe", folder=tmp_path / "out", console=Console(file=stream, width=200)
    )
    assert list(summary.skipped) == [str(photos / "d.png")]
    assert len(summary.images) == 3
    assert "skipped" in stream.getvalue()
    assert not (tmp_path / "out" / "d.png").exists()
    with pytest.raises(InputError, match="none of 1 files could be read"):
        snellen.enhance(photos / "d.png", operations="clahe", folder=tmp_path / "other")


def test_originals_and_strange_files_are_not_written_over(photos, tmp_path):
    for folder in (photos, photos / "." / "more" / ".."):
        with pytest.raises(ConfigError, match="written over"):
            snellen.enhance(photos, operations="clahe", folder=folder)
    with pytest.raises(ConfigError, match="written over"):
        snellen.enhance(photos / "a.png", operations="clahe", folder=photos)
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.jpg").write_text("mine")
    with pytest.raises(ConfigError, match="not written by enhance"):
        snellen.enhance(photos, operations="clahe", folder=out)
    assert (out / "b.jpg").read_text() == "mine"
    assert not (out / "a.png").exists()


def test_a_folder_beneath_the_source_is_no_source(photos):
    out = photos / "enhanced"
    first = snellen.enhance(photos, operations="clahe", folder=out)
    again = snellen.enhance(photos, operations="clahe", folder=out)
    assert len(first.images) == len(again.images) == 3


def test_what_is_done_is_not_done_again(photos, tmp_path):
    """A killed call goes on where it was; what has changed since is done anew."""
    out = tmp_path / "out"
    snellen.enhance(photos / "a.png", operations="clahe", folder=out)
    with (out / "enhanced.log").open("a") as log:
        log.write('{"source": "half a li')
    written = (out / "a.png").stat().st_mtime_ns
    assert len(snellen.enhance(photos, operations="clahe", folder=out).images) == 3
    assert (out / "a.png").stat().st_mtime_ns == written
    Image.fromarray(scene(9)).save(photos / "a.png")
    snellen.enhance(photos, operations="clahe", folder=out)
    assert np.array_equal(pixels(out / "a.png"), enhanced(scene(9), "clahe"))


def test_other_operations_into_the_same_folder(photos, tmp_path):
    out = tmp_path / "out"
    for operation in ("clahe", "equalise", "clahe"):
        snellen.enhance(photos, operations=operation, folder=out)
        assert np.array_equal(pixels(out / "a.png"), enhanced(scene(0), operation))


def test_many_images_in_processes(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(18):
        Image.fromarray(scene(number, (24, 18))).save(folder / f"{number:02d}.png")
    summary = snellen.enhance(folder, operations="stretch", folder=tmp_path / "out", workers=2)
    assert [image.source for image in summary.images] == [str(folder / f"{number:02d}.png") for number in range(18)]
    assert np.array_equal(pixels(tmp_path / "out" / "07.png"), enhanced(scene(7, (24, 18)), "stretch"))


def test_what_the_doctor_advises(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(scene(0)).save(folder / "healthy.jpg")
    Image.fromarray((scene(1) * 0.15).astype(np.uint8)).save(folder / "dark.png")
    Image.fromarray((scene(2) * [1.0, 0.7, 0.4]).astype(np.uint8)).save(folder / "lamp.png")
    summary = snellen.enhance(folder, auto=True, folder=tmp_path / "out", sheet=True, language="en")
    told = {image.source.rsplit("/", 1)[1]: image for image in summary.images}
    assert {name: image.operations for name, image in told.items()} == {
        "dark.png": ("stretch",),
        "healthy.jpg": (),
        "lamp.png": ("neutral_light",),
    }
    assert told["dark.png"].reasons[0].startswith("D18: dark: the 99th percentile is ")
    assert (tmp_path / "out" / "healthy.jpg").read_bytes() == (folder / "healthy.jpg").read_bytes()
    chinese = snellen.enhance(folder / "dark.png", auto=True, folder=tmp_path / "zh", language="zh")
    assert "过暗" in chinese.images[0].reasons[0]


@pytest.mark.parametrize("count", [1, 3, 11])
def test_a_sheet(tmp_path, count):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(count):
        Image.fromarray(scene(number)).save(folder / f"{number}.png")
    summary = snellen.enhance(
        folder, operations="equalise", folder=tmp_path / "out", sheet=tmp_path / "sheets" / "a.jpg"
    )
    assert summary.sheet == tmp_path / "sheets" / "a.jpg"
    sheet = pixels(summary.sheet)
    rows, columns = -(-min(count, 8) // 2), min(count, 2)
    assert sheet.shape[1] == columns * 624 + 12
    assert rows * 150 < sheet.shape[0] < rows * 260
    for name, says in (("sheet.txt", "a sheet is"), (str(tmp_path / "out" / "0.png"), "written over")):
        with pytest.raises(ConfigError, match=says):
            snellen.enhance(folder, operations="equalise", folder=tmp_path / "out", sheet=name)


def test_unusual_images(tmp_path):
    """Orientation, depth, grey, and formats that nothing can be written in."""
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(scene(0)).save(folder / "turned.jpg", exif=exif)
    Image.fromarray(scene(1)[..., 0].astype(np.uint16) * 100 + 3).save(folder / "deep.png")
    Image.fromarray(scene(2)[..., 0]).save(folder / "grey.png")
    Image.fromarray(scene(3)).convert("P").save(folder / "palette.gif")
    Image.fromarray(np.dstack([scene(4), np.full((72, 96), 90, np.uint8)])).save(folder / "alpha.png")
    summary = snellen.enhance(folder, operations="stretch", folder=tmp_path / "out")
    found = {image.file.rsplit("/", 1)[1]: image for image in summary.images}
    assert sorted(found) == ["alpha.png", "deep.png", "grey.png", "palette.png", "turned.jpg"]
    with Image.open(tmp_path / "out" / "turned.jpg") as turned:
        assert turned.size == (72, 96)
        assert turned.getexif().get(ORIENTATION, 1) == 1
    deep = pixels(tmp_path / "out" / "deep.png")
    assert deep.dtype == np.uint16
    assert len(np.unique(deep)) > 150
    assert deep.max() == 65535
    assert pixels(tmp_path / "out" / "grey.png").ndim == 2
    assert found["alpha.png"].notes == ("alpha",)


def test_two_images_for_one_place(photos, tmp_path):
    Image.fromarray(scene(5)).convert("P").save(photos / "a.gif")
    with pytest.raises(ConfigError, match="would both become"):
        snellen.enhance(photos, operations="clahe", folder=tmp_path / "out")


def test_refusals(photos, tmp_path):
    for options in ({}, {"operations": "clahe", "auto": True}):
        with pytest.raises(ConfigError, match="Give one of them"):
            snellen.enhance(photos, folder=tmp_path / "out", **options)
    with pytest.raises(ConfigError, match="Did you mean"):
        snellen.enhance(photos, operations="clahee", folder=tmp_path / "out")
    with pytest.raises(InputError, match="gives none"):
        snellen.enhance(tmp_path / "nothing", operations="clahe", folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_list_names_every_operation():
    stream = io.StringIO()
    Console(file=stream, width=200).print(operation_list())
    assert all(name in stream.getvalue() for name in OPERATIONS)


def test_a_resized_image(photos, tmp_path):
    summary = snellen.enhance(photos, operations="resize:short_side=36", folder=tmp_path / "out", sheet=True)
    assert pixels(summary.images[0].file).shape == (36, 48, 3)
    line = json.loads((tmp_path / "out" / "enhanced.log").read_text().splitlines()[0])
    assert line["operations"] == ["resize:short_side=36"]


def test_what_is_written_is_a_data_set(charts, tmp_path):
    """Nothing beside the images is taken for annotations or images of it."""
    plain = load(charts["classes"])
    out = tmp_path / "out"
    snellen.enhance(charts["classes"], operations="clahe", folder=out, sheet=True, workers=0)
    again = load(out)
    assert sorted(again.paths) == sorted(plain.paths)
    assert again.problems == ()
    assert (tmp_path / "out-sheet.png").is_file()
