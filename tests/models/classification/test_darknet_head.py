"""Darknet's classifiers read darknet's files to the end (SYS-088)."""

import struct

import numpy as np
import pytest
import torch
from torch import nn

from snellen.models import find_model, load_weights


def write(path, layers, generator) -> dict[str, np.ndarray]:
    """A file of darknet with random numbers, and what stands where."""
    values: dict[str, np.ndarray] = {}
    stream = [struct.pack("<iiiq", 0, 2, 0, 1)]
    for layer in layers:
        parts = [("bias" if layer.norm is None else "norm.bias", layer.outputs)]
        if layer.norm is not None:
            parts += [("norm.weight", layer.outputs), ("mean", layer.outputs), ("var", layer.outputs)]
        parts.append(("weight", int(np.prod(layer.shape))))
        for kind, size in parts:
            numbers = generator.uniform(0.5, 1.5, size).astype("<f4")
            values[f"{layer.name}.{kind}"] = numbers
            stream.append(numbers.tobytes())
    path.write_bytes(b"".join(stream))
    return values


@pytest.mark.parametrize("name", ["darknet19", pytest.param("darknet53", marks=pytest.mark.slow)])
def test_the_whole_file_is_read(name, tmp_path):
    net = find_model(name).build(4)
    layers = [layer.moved("backbone.") for layer in net.backbone.darknet_layers()]
    layers += [layer.moved("head.") for layer in net.head.darknet_layers()]
    values = write(tmp_path / f"{name}.weights", layers, np.random.default_rng(0))
    report = load_weights(net, tmp_path / f"{name}.weights")
    assert not report.missing
    assert not report.unexpected
    assert not report.reshaped
    assert np.array_equal(net.head.linear.weight.detach().numpy().ravel(), values["head.linear.weight"])
    assert np.array_equal(net.head.linear.bias.detach().numpy(), values["head.linear.bias"])


def test_a_file_of_other_classes_leaves_the_head(tmp_path):
    other = find_model("darknet19").build(6)
    layers = [layer.moved("backbone.") for layer in other.backbone.darknet_layers()]
    layers += [layer.moved("head.") for layer in other.head.darknet_layers()]
    write(tmp_path / "other.weights", layers, np.random.default_rng(0))
    net = find_model("darknet19").build(4)
    report = load_weights(net, tmp_path / "other.weights")
    assert {item.key for item in report.reshaped} == {"head.linear.weight", "head.linear.bias"}
    assert not [key for key in report.missing if key.startswith("backbone.")]


@torch.no_grad()
def test_the_mean_may_come_before_or_behind_the_last_convolution():
    """Darknet-19 convolves first; the numbers are the same."""
    torch.manual_seed(0)
    net = find_model("darknet19").build(5)
    maps = torch.randn(2, 1024, 7, 7)
    last = nn.functional.conv2d(maps, net.head.linear.weight[:, :, None, None], net.head.linear.bias)
    found = net.head(maps, torch.full((2, 2), 7))
    torch.testing.assert_close(found, last.mean((2, 3)), atol=1e-5, rtol=1e-5)
