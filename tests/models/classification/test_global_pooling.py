"""Which number of each channel a classifier reads: its mean, its maximum, or half of each (SYS-111, SYS-112)."""

import pytest
import torch

from snellen.errors import ConfigError
from snellen.models import describe_model, find_model
from snellen.models.classification import MeanHead
from snellen.structures import FeatureSpec

C5 = FeatureSpec(name="c5", channels=8, stride=32)


def features(*size: int) -> torch.Tensor:
    return torch.randn(2, 8, *size, generator=torch.Generator().manual_seed(0)) - 1


def head_of(pooling: str) -> MeanHead:
    torch.manual_seed(0)
    return MeanHead(C5, 3, pooling=pooling).eval()


@pytest.mark.parametrize(("pooling", "theirs"), [("mean", "avg"), ("max", "max"), ("mean_max", "avgmax")])
def test_pools_are_those_of_timm(pooling, theirs):
    layers = pytest.importorskip("timm.layers")
    x = features(5, 7)
    head = head_of(pooling)
    pooled = layers.SelectAdaptivePool2d(pool_type=theirs, flatten=True)(x)
    torch.testing.assert_close(head(x, torch.tensor([[5, 7]] * 2)), head.linear(pooled))


def test_the_maximum_sees_one_small_thing_and_the_mean_how_much_there_is():
    x = torch.zeros(2, 8, 10, 10)
    x[0, 0, 3, 3] = 5.0
    x[1, 0, :5] = 1.0
    cells = torch.tensor([[10, 10]] * 2)
    small, large = (head_of("max").linear.weight[:, 0] * value for value in (5.0, 1.0))
    found = head_of("max")(x, cells) - head_of("max").linear.bias
    torch.testing.assert_close(found, torch.stack([small, large]))
    found = head_of("mean")(x, cells) - head_of("mean").linear.bias
    torch.testing.assert_close(found, torch.stack([small / 100, large / 2]))


@pytest.mark.parametrize("pooling", ["max", "mean_max"])
def test_one_place_alone_learns_of_the_maximum(pooling):
    x = features(4, 4).requires_grad_()
    head_of(pooling)(x, torch.tensor([[4, 4]] * 2)).sum().backward()
    largest = x.grad.abs().amax((2, 3))
    told = (x.grad.abs() > 0.9 * largest[..., None, None]).sum((2, 3))
    assert (told == 1).all()


def test_a_model_takes_it_as_an_option_and_keeps_its_weights():
    """The same state dict fits every pooling; sizes, layers and work stay what they are."""
    entry = find_model("resnet18")
    built = {pooling: entry.build(3, pooling=pooling) for pooling in ("mean", "max", "mean_max")}
    for model in built.values():
        model.load_state_dict(built["mean"].state_dict())
    described = {name: describe_model(entry, num_classes=3, size=(64, 64), options={"pooling": name}) for name in built}
    assert len({row.num_parameters for row in described.values()}) == 1
    assert len({row.multiply_adds for row in described.values()}) == 1
    with pytest.raises(ConfigError, match=r"pooling must be one of mean, max, mean_max; got 'maximum'"):
        entry.build(3, pooling="maximum")


def test_padding_beside_an_image_does_not_count():
    maps = features(3, 4)
    maps[0, :, 2:] = maps[0, :, :, 2:] = 1e3
    cells = torch.tensor([[2, 2], [3, 4]])
    for pooling in ("max", "mean_max"):
        head = head_of(pooling)
        torch.testing.assert_close(head(maps, cells)[:1], head(maps[:1, :, :2, :2], cells[:1]))
