"""How fast a model is by itself (SYS-362)."""

import pytest
import torch
from torch import nn

from snellen.errors import ConfigError
from snellen.models import find_model
from snellen.models.description import blank_images
from snellen.recipes import speed_json, speed_lines, time_model
from snellen.recipes.timing import _LEAST_REPEATS, _MOST_REPEATS


def test_a_model_is_timed_at_its_usual_size():
    speed = time_model("lenet5")
    assert speed.size == (32, 32)
    assert [batch.images for batch in speed.batches] == [1, 8]
    assert all(batch.median_ms > 0 and batch.repeats == _MOST_REPEATS for batch in speed.batches)
    assert speed.threads == torch.get_num_threads()
    lines = speed_lines(speed).splitlines()
    assert lines[0].startswith("time of forward pass and decoding for images of 32 x 32, random weights, on ")
    assert len(lines) == 3
    told = speed_json(speed)
    assert told["batches"][1]["images_per_s"] == pytest.approx(8000 / told["batches"][1]["median_ms"])


def test_the_median_is_of_repeats_after_one_for_warming_up(monkeypatch):
    """The first run costs 100 s and is forgotten; one repeat of nine is disturbed and moves nothing."""
    seconds = iter([100.0, 0.2, 0.2, 0.2, 0.9, 0.2, 0.2, 0.2, 0.2, 0.2])
    now = [0.0]
    original = nn.Module.__call__

    def slow(module, *given, **named):
        if type(module) is type(find_model("lenet5").build(10)):
            now[0] += next(seconds)
        return original(module, *given, **named)

    monkeypatch.setattr("snellen.recipes.timing.perf_counter", lambda: now[0])
    monkeypatch.setattr(nn.Module, "__call__", slow)
    (batch,) = time_model("lenet5", batches=(4,)).batches
    assert batch.median_ms == pytest.approx(200)
    assert batch.images_per_s == pytest.approx(20)


def test_slow_models_are_repeated_less(monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("snellen.recipes.timing.perf_counter", lambda: float(next(clock)))
    (batch,) = time_model("lenet5", batches=(1,)).batches
    assert (batch.repeats, batch.median_ms) == (_LEAST_REPEATS, 10_000)


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("resnet18", 64, "forward pass and decoding for images of 64 x 64,"),
        ("ssd_vgg16", 64, "forward pass for images of 64 x 64,"),
        ("fast_rcnn_mobilenet_v2", 64, "64 x 64 with 16 regions,"),
        ("unet_resnet18", 64, "forward pass and decoding"),
    ],
)
def test_models_of_every_kind(name, size, words):
    assert words in speed_lines(time_model(name, size=size, batches=(1,)))


def test_options_reach_the_model():
    with_one = time_model("faster_rcnn_mobilenet_v2_fpn", size=64, options={"backbone": "resnet18"}, batches=(1,))
    assert with_one.size == (64, 64)
    with pytest.raises(ConfigError, match="takes no options"):
        time_model("ssd_vgg16", options={"backbone": "resnet18"})
    with pytest.raises(ConfigError, match="no model"):
        time_model("resnet81")


def test_what_is_not_fitted_has_no_time():
    with pytest.raises(ConfigError, match=r"says nothing of images before it is fitted.*snellen eval RUN"):
        time_model("hog_knn")


def test_regions_of_several_images():
    batch = blank_images(find_model("fast_rcnn_mobilenet_v2"), 32, size=(60, 90), count=3)
    assert batch.pixels.shape == (3, 3, 64, 96)
    assert batch.regions.boxes.shape == (3, 16, 4)
    assert torch.equal(batch.regions.boxes[0], batch.regions.boxes[2])
