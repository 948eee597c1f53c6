"""The store of computed proposals: what it returns, what it keeps, and what it survives (SYS-008)."""

import multiprocessing
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.data.images import read_image
from snellen.data.proposals import ProposalStore, default_proposal_folder
from snellen.errors import DatasetError, InputError


def whole_and_half(pixels, *, extra=0.0):
    """The whole image, and its left half; also checks what arrives."""
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    height, width = pixels.shape[:2]
    return np.array([[0, 0, width, height], [0, 0, width / 2 + extra, height]], dtype=np.float32)


def never(pixels):
    raise AssertionError("computed although it is in the cache")


def wrong_shape(pixels):
    return np.zeros((3, 5), dtype=np.float32)


def not_finite(pixels):
    return np.array([[0, 0, np.nan, 4]], dtype=np.float32)


def brightness(pixels):
    """A box whose size tells the image's brightness."""
    return np.array([[0, 0, 1 + pixels.mean() / 10, 5]], dtype=np.float32)


@pytest.fixture
def store(tmp_path):
    return ProposalStore(whole_and_half, key="halves", folder=tmp_path / "cache")


def run(store, path):
    return store(path, read_image(path))


def cached(store):
    return sorted(path for path in store.folder.rglob("*") if path.is_file())


def test_boxes_in_pixels_of_the_file(store, make):
    path = make.image("a.png", (40, 30))
    assert run(store, path).tolist() == [[0, 0, 40, 30], [0, 0, 20, 30]]
    assert run(store, path).dtype == torch.float32


def test_a_large_image_is_reduced_and_its_boxes_scaled_back(make, tmp_path):
    seen = []

    def propose(pixels):
        seen.append(pixels.shape)
        return whole_and_half(pixels)

    store = ProposalStore(propose, key="halves", max_side=50, folder=tmp_path / "cache")
    path = make.image("a.png", (203, 101))
    boxes = run(store, path)
    assert seen == [(25, 50, 3)]
    torch.testing.assert_close(boxes, torch.tensor([[0, 0, 203, 101], [0, 0, 101.5, 101]]))


def test_reducing_keeps_every_side(make, tmp_path):
    store = ProposalStore(whole_and_half, key="halves", max_side=10, folder=tmp_path / "cache")
    assert run(store, make.image("a.png", (400, 2)))[0].tolist() == [0, 0, 400, 2]


def test_boxes_are_clipped_to_the_image(make, tmp_path):
    store = ProposalStore(partial(whole_and_half, extra=1000), key="wide", folder=tmp_path / "cache")
    assert run(store, make.image("a.png", (40, 30)))[1].tolist() == [0, 0, 40, 30]


def test_an_upright_image_is_what_is_measured(store, tmp_path):
    """The boxes are in pixels of the image with EXIF applied, as the data layer gives it."""
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30), "red").save(path, exif=exif)
    assert run(store, path)[0].tolist() == [0, 0, 30, 40]


def test_no_boxes_at_all_are_kept_too(make, tmp_path):
    folder = tmp_path / "cache"
    path = make.image("a.png")
    empty = ProposalStore(lambda pixels: np.zeros((0, 4)), key="none", folder=folder)
    assert run(empty, path).shape == (0, 4)
    assert run(ProposalStore(never, key="none", folder=folder), path).shape == (0, 4)


def test_second_time_comes_from_the_cache(store, make):
    path = make.image("a.png")
    first = run(store, path)
    again = run(ProposalStore(never, key="halves", folder=store.folder), path)
    assert torch.equal(first, again)


def test_key_is_content_and_not_name(store, make):
    path = make.image("a.png", seed=1)
    run(store, path)
    copy = path.with_name("b.png")
    copy.write_bytes(path.read_bytes())
    other = ProposalStore(never, key="halves", folder=store.folder)
    run(other, copy)
    make.image("b.png", seed=2)
    with pytest.raises(AssertionError, match="although"):
        run(other, copy)


@pytest.mark.parametrize("change", [{"key": "other"}, {"max_side": 499}])
def test_other_settings_are_other_entries(store, make, change):
    path = make.image("a.png")
    run(store, path)
    with pytest.raises(AssertionError, match="although"):
        run(ProposalStore(never, **{"key": "halves", "folder": store.folder} | change), path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY", b"no array at all", "truncated", np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float64)],
    ids=["empty", "header", "text", "truncated", "shape", "dtype"],
)
def test_damaged_entries_are_computed_again(store, make, content):
    path = make.image("a.png")
    good = run(store, path)
    [place] = cached(store)
    if isinstance(content, np.ndarray):
        np.save(place, content)
    else:
        place.write_bytes(place.read_bytes()[:-3] if content == "truncated" else content)
    assert torch.equal(run(store, path), good)
    assert torch.equal(run(ProposalStore(never, key="halves", folder=store.folder), path), good)


def test_a_pickle_in_the_cache_is_not_executed(store, make, tmp_path):
    path = make.image("a.png")
    run(store, path)
    [place] = cached(store)
    mark = tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (mark,))

    np.save(place, np.array([Bomb()], dtype=object), allow_pickle=True)
    assert run(store, path).shape == (2, 4)
    assert not mark.exists()


def test_nothing_unfinished_is_left(store, make):
    run(store, make.image("a.png"))
    assert [path.suffix for path in cached(store)] == [".npy"]


@pytest.mark.parametrize("propose", [wrong_shape, not_finite])
def test_bad_boxes_of_a_function_are_refused(make, tmp_path, propose):
    store = ProposalStore(propose, key="broken", folder=tmp_path / "cache")
    with pytest.raises(InputError, match=r"broken: boxes \[n, 4\] of finite numbers"):
        run(store, make.image("a.png"))
    assert not cached(store)


def test_arguments_are_checked(tmp_path):
    with pytest.raises(InputError, match="key"):
        ProposalStore(never, key=" ")
    with pytest.raises(InputError, match="max_side"):
        ProposalStore(never, key="a", max_side=0)
    with pytest.raises(InputError, match="workers"):
        ProposalStore(never, key="a", folder=tmp_path).prepare([], workers=-1)


def test_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SNELLEN_CACHE", str(tmp_path))
    assert default_proposal_folder() == tmp_path / "proposals"
    assert ProposalStore(never, key="a").folder == tmp_path / "proposals"
    monkeypatch.setenv("SNELLEN_CACHE", "")
    assert default_proposal_folder() == Path.home() / ".cache" / "snellen" / "proposals"


def test_a_missing_image_is_named(store, tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere\.png.*cannot be read"):
        store(tmp_path / "nowhere.png", torch.zeros(3, 4, 4, dtype=torch.uint8))


def test_a_folder_that_cannot_be_written_is_named(make, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    store = ProposalStore(whole_and_half, key="halves", folder=tmp_path / "cache")
    with pytest.raises(DatasetError, match="SNELLEN_CACHE"):
        run(store, make.image("a.png"))


def test_a_store_can_be_pickled(store, make):
    path = make.image("a.png")
    assert torch.equal(run(pickle.loads(pickle.dumps(store)), path), run(store, path))


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])  # each worker imports torch
def test_prepare_fills_the_cache_and_names_what_it_skips(make, tmp_path, workers):
    store = ProposalStore(brightness, key="bright", folder=tmp_path / "cache")
    paths = [make.image(f"{number}.png", seed=number) for number in range(11)]
    broken = make.bytes("broken.jpg", b"\xff\xd8\xff\xe0 no picture")
    missing = tmp_path / "missing.jpg"
    progress = []
    wanted = [*paths[:5], broken, missing, *paths[5:], paths[0]]
    skipped = store.prepare(wanted, workers=workers, on_progress=lambda done, total: progress.append((done, total)))
    assert list(skipped) == [broken, missing]
    assert "broken.jpg" in skipped[broken]
    assert "missing.jpg" in skipped[missing]
    assert progress == [(done, 13) for done in range(1, 14)]
    assert len(cached(store)) == 11
    ready = ProposalStore(never, key="bright", folder=store.folder)
    for path in paths:
        expected = 1 + np.asarray(Image.open(path)).mean() / 10
        assert run(ready, path)[0, 2].item() == pytest.approx(expected, rel=1e-5)
    assert ready.prepare(paths) == {}


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_prepare_does_not_hide_a_broken_function(make, tmp_path, workers):
    store = ProposalStore(wrong_shape, key="broken", folder=tmp_path / "cache")
    with pytest.raises(InputError, match="finite numbers"):
        store.prepare([make.image("a.png")], workers=workers)


def prepare(store, paths):
    store.prepare(paths)


def test_several_processes_share_a_folder(make, tmp_path):
    """All fill the same folder at the same time; every entry is sound afterwards."""
    store = ProposalStore(brightness, key="bright", folder=tmp_path / "cache")
    paths = [make.image(f"{number}.png", seed=number) for number in range(20)]
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=prepare, args=(store, paths[:: 1 if turn else -1])) for turn in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert ProposalStore(never, key="bright", folder=store.folder).prepare(paths) == {}
    assert {path.suffix for path in cached(store)} == {".npy"}
