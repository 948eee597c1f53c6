"""Descriptions that are computed once."""

import numpy as np
import pytest
import torch

from snellen.models import find_model
from snellen.models.shallow.describing import contents, described
from snellen.models.shallow.feature_store import FeatureStore, default_feature_folder, description_key
from snellen.models.shallow.features import WordSettings, find_features


def test_what_was_kept_comes_back(tmp_path):
    store = FeatureStore(tmp_path)
    arrays = {bytes([number]) * 32: np.random.default_rng(number).random((number, 3)) for number in range(200)}
    store.keep(arrays)
    store.close()
    found = FeatureStore(tmp_path).recall([*arrays, b"unknown"])
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[key], arrays[key]) for key in arrays)


def test_keys_know_pixels_shape_and_settings():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    keys = {
        description_key("a", pixels),
        description_key("b", pixels),
        description_key("a", pixels + 1),
        description_key("a", pixels.reshape(4, 1, 3)),
    }
    assert len(keys) == 4
    assert description_key("a", pixels) == description_key("a", np.asfortranarray(pixels))


def test_damaged_and_unwritable_stores_do_without(tmp_path):
    store = FeatureStore(tmp_path)
    store.keep({b"k": np.ones(3)})
    store.close()
    file = next(tmp_path.glob("*.sqlite3"))
    for extra in tmp_path.glob("*.sqlite3-*"):
        extra.unlink()
    file.write_bytes(b"no database at all" * 100)
    again = FeatureStore(tmp_path)
    assert again.recall([b"k"]) == {}
    again.keep({b"k": np.ones(2)})
    assert np.array_equal(again.recall([b"k"])[b"k"], np.ones(2))
    (tmp_path / "file").write_text("")
    nowhere = FeatureStore(tmp_path / "file" / "folder")
    nowhere.keep({b"k": np.ones(2)})
    assert len(nowhere.recall([b"k"])) == 1


def test_pickles_are_not_read(tmp_path):
    store = FeatureStore(tmp_path)
    import io
    import sqlite3

    file = io.BytesIO()
    np.save(file, np.array([print], dtype=object), allow_pickle=True)
    store.close()
    base = sqlite3.connect(store.file)
    with base:
        base.execute("INSERT INTO descriptions VALUES (?, ?)", (b"evil", file.getvalue()))
    base.close()
    assert FeatureStore(tmp_path).recall([b"evil"]) == {}


def test_costly_features_are_computed_once(cache, make_batch, monkeypatch):
    kind, settings = find_features("sift"), WordSettings()
    images = contents(make_batch(5, side=64).images, 64)
    store = FeatureStore()
    assert store.file.parent == default_feature_folder() == cache / "features"
    first = described(images, kind, settings, store)

    def never(*arguments):
        raise AssertionError("described again")

    monkeypatch.setattr("snellen.models.shallow.describing._computed", never)
    for one, other in zip(first, described(images, kind, settings, store), strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(AssertionError, match="described again"):
        described(images, kind, WordSettings(most=7), store)


@pytest.mark.slow
def test_several_processes_say_the_same(make_batch, monkeypatch):
    kind, settings = find_features("sift"), WordSettings()
    images = contents(make_batch(260, side=32).images, 32)
    alone = kind.describe(torch.stack(images).permute(0, 2, 3, 1).numpy(), settings)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    together = described(images, kind, settings, None)
    assert len(together) == 260
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_images_are_squeezed_to_one_size(make_batch):
    images = make_batch(3, side=40).images
    squares = contents(images, 16)
    assert [tuple(square.shape) for square in squares] == [(3, 16, 16)] * 3
    assert [tuple(image.shape) for image in contents(images, None)] == [(3, 40, 40)] * 3


def test_a_copied_model_opens_the_cache_anew(make_batch):
    import copy

    model = find_model("sift_knn").build(2)
    model.described([make_batch(2).images])
    assert model.extractor._store is not None
    assert copy.deepcopy(model).extractor._store is None
