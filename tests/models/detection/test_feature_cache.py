"""Features on disk: whole or not there, and never those of other weights or of another image."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import nn

from snellen.errors import TrainingError
from snellen.models.detection.feature_cache import FeatureCache, ImageFeatures, content_of, weights_key


def features(count=5, seed=0, near=(1, 3), objects=2):
    generator = torch.Generator().manual_seed(seed)
    return ImageFeatures(
        boxes=torch.rand(count, 4, generator=generator),
        is_object=torch.arange(count) >= count - 1,
        deep=torch.randn(count, 7, generator=generator),
        near=torch.tensor(near, dtype=torch.long),
        pooled=torch.randn(len(near), 3, generator=generator),
        object_boxes=torch.rand(objects, 4, generator=generator),
        object_labels=torch.arange(objects),
        object_ignored=torch.arange(objects) == 0,
    )


@pytest.mark.parametrize("case", [{}, {"count": 1, "near": ()}, {"count": 0, "near": (), "objects": 0}])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_what_is_read_is_what_was_written(tmp_path, case, dtype):
    cache = FeatureCache(tmp_path, key="a", dtype=dtype).opened()
    wanted = features(**case)
    cache.write(12, wanted, content=5)
    found = cache.read(12)
    for field in fields(ImageFeatures):
        left, right = getattr(found, field.name), getattr(wanted, field.name)
        if field.name in ("deep", "pooled"):
            right = right.to(dtype).float()
        assert torch.equal(left, right), field.name
        assert left.dtype == getattr(wanted, field.name).dtype


def test_a_field_can_be_left_on_disk(tmp_path):
    cache = FeatureCache(tmp_path, key="a").opened()
    cache.write(0, features(), content=5)
    assert cache.read(0, without=("pooled",)).pooled.numel() == 0
    assert cache.read(0, without=("pooled",)).deep.shape == (5, 7)


def test_half_precision_halves_the_features(tmp_path):
    sizes = {}
    for dtype in (torch.float16, torch.float32):
        cache = FeatureCache(tmp_path / str(dtype), key="a", dtype=dtype).opened()
        cache.write(3, features(count=2000, near=(0,)), content=5)
        sizes[dtype] = cache.num_bytes([3])
        assert sizes[dtype] == (cache.folder / "00000003.npz").stat().st_size
    assert sizes[torch.float32] - sizes[torch.float16] == 2 * (2000 * 7 + 3)


def test_an_image_is_there_only_if_its_content_is_the_same(tmp_path):
    cache = FeatureCache(tmp_path, key="a").opened()
    assert not cache.has(1, 5)
    cache.write(1, features(), content=5)
    assert cache.has(1, 5)
    assert not cache.has(1, 6)
    assert not cache.has(2, 5)


def test_a_write_that_was_killed_leaves_nothing(tmp_path, monkeypatch):
    cache = FeatureCache(tmp_path, key="a").opened()

    def half(stream, **arrays):
        stream.write(b"PK half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(KeyboardInterrupt):
        cache.write(1, features(), content=5)
    assert not cache.has(1, 5)
    assert list(cache.folder.glob("*.part"))
    assert not list(cache.opened().folder.iterdir())


def test_the_pass_is_over_only_when_it_says_so(tmp_path):
    cache = FeatureCache(tmp_path, key="a").opened()
    cache.write(4, features(), content=5)
    assert cache.images() is None
    cache.complete([4, 2])
    assert FeatureCache(tmp_path, key="a").images() == [2, 4]


def test_features_of_other_weights_are_neither_used_nor_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("not a cache")
    first = FeatureCache(tmp_path, key="a").opened()
    first.write(1, features(), content=5)
    first.complete([1])
    other = FeatureCache(tmp_path, key="b")
    assert other.images() is None
    assert not other.opened().has(1, 5)
    assert not first.folder.exists()
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_features_that_do_not_fit_are_an_error(tmp_path, value):
    cache = FeatureCache(tmp_path, key="a").opened()
    broken = features()
    broken.deep[0, 0] = value
    with pytest.raises(TrainingError, match=r"'deep' of image 9.*float32"):
        cache.write(9, broken, content=5)
    if value == 1e6:
        FeatureCache(tmp_path, key="a", dtype=torch.float32).write(9, broken, content=5)


def test_a_key_tells_weights_and_settings_apart():
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    states = [layer.state_dict()]
    first = weights_key(states, "settings")
    assert first == weights_key([{name: value.clone() for name, value in states[0].items()}], "settings")
    assert first != weights_key(states, "other settings")
    with torch.no_grad():
        layer[1].running_mean[2] += 1e-6
    assert first != weights_key([layer.state_dict()], "settings")


def test_content_depends_on_every_tensor():
    parts = [torch.zeros(3, 4, 5, dtype=torch.uint8), torch.rand(2, 4), torch.zeros(0, dtype=torch.long)]
    first = content_of(parts)
    assert first == content_of([part.clone() for part in parts])
    for place in (0, 1):
        changed = [part.clone() for part in parts]
        changed[place].view(-1)[-1] += 1
        assert content_of(changed) != first
