import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from snellen.errors import CheckpointError
from snellen.models.backbones import DarknetConv, darknet_conv_layers, resnet18
from snellen.models.backbones.darknet import Conv, Darknet, Pool, Residuals
from snellen.models.classification import ImageClassifier
from snellen.models.darknet_cfg import read_darknet_cfg
from snellen.models.darknet_files import DarknetLayer, is_darknet_file, read_darknet_weights
from snellen.models.weights import load_weights, weights_settings

# Depth, kernel and stride of the convolutions of the small network below, in the order of the file.
ROWS = ((4, 3, 1), (6, 3, 2), (3, 1, 1), (6, 3, 1), (8, 3, 1))


class Body(Darknet):
    def __init__(self, **options):
        super().__init__(((Conv(4), Conv(6, stride=2), Residuals(1)), (Pool(), Conv(8))), **options)


class Head(nn.Module):
    """Two convolutions, of which the second depends on the number of classes: 2 · (5 + classes)."""

    def __init__(self, num_classes):
        super().__init__()
        self.inner = DarknetConv(8, 5, kernel=1)
        self.last = nn.Conv2d(5, 2 * (5 + num_classes), 1)

    def darknet_layers(self):
        last = DarknetLayer(name="last", shape=tuple(self.last.weight.shape), outputs_per_class=2)
        return (*darknet_conv_layers(self.inner, "inner."), last)


class Detector(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.backbone = Body()
        self.head = Head(num_classes)


class Numbers:
    """Writes layers by the rules of darknet's save_weights, and remembers what it wrote."""

    def __init__(self):
        self.random = np.random.default_rng(0)
        self.parts = []

    def draw(self, *shape, low=-1.0):
        values = self.random.uniform(low, 1.0, shape).astype(np.float32)
        self.parts.append(values.ravel())
        return torch.from_numpy(values)

    def conv(self, channels, filters, kernel, *, batch_normalize=True):
        """save_convolutional_weights: biases, then scales, means and variances, then the weights."""
        written = {"bias": self.draw(filters)}
        if batch_normalize:
            written |= {"scale": self.draw(filters), "mean": self.draw(filters), "var": self.draw(filters, low=0.5)}
        written["weight"] = self.draw(filters, channels, kernel, kernel)
        return written

    def body(self):
        written, channels = [], 3
        for filters, kernel, _ in ROWS:
            written.append(self.conv(channels, filters, kernel))
            channels = filters
        return written

    def save(self, path, *, version=(0, 2, 0), extra=b""):
        # save_weights_upto writes the images seen as size_t; before version 0.2 it was an int.
        long = version[0] * 10 + version[1] >= 2 and version[0] < 1000 and version[1] < 1000
        header = struct.pack("<iii", *version) + struct.pack("<q" if long else "<i", 6400)
        path.write_bytes(header + np.concatenate(self.parts).astype("<f4").tobytes() + extra)
        return path


def body_convs(body):
    return [module for module in body.modules() if isinstance(module, DarknetConv)]


def assert_body(body, written):
    for conv, wanted in zip(body_convs(body), written, strict=True):
        assert torch.equal(conv.conv.weight, wanted["weight"])
        assert torch.equal(conv.norm.bias, wanted["bias"])
        assert torch.equal(conv.norm.weight, wanted["scale"])
        assert torch.equal(conv.norm.running_mean, wanted["mean"])
        assert torch.equal(conv.norm.running_var, wanted["var"])


def cfg_text(rows=ROWS, more=""):
    text = ["# made by hand", "[net]", "height = 416", "", ";[crop]"]
    for filters, size, stride in rows:
        text += ["[convolutional]", "batch_normalize=1", f"filters = {filters}", f"size={size}"]
        text += [f"stride={stride}", "pad=1", "activation=leaky", ""]
        if filters == 6 and size == 3 and stride == 1:
            text += ["[shortcut]", "from=-3", "activation=linear", "", "[maxpool]", "size=2", "stride=2", ""]
    return "\n".join(text) + more


@pytest.mark.parametrize(
    "version", [(0, 1, 0), (0, 2, 0), (0, 2, 5), (1, 0, 0), (1_000_000_000, 3, 7)], ids=lambda version: f"{version[:2]}"
)
def test_both_lengths_of_the_header(version, tmp_path):
    """Images seen are 32 bits long before version 0.2, and where the first fields are no version at all."""
    numbers = Numbers()
    written = numbers.body()
    path = numbers.save(tmp_path / "body.weights", version=version)
    body = Body()
    found = read_darknet_weights(path, body.darknet_layers())
    assert (found.version, found.seen) == (version, 6400)
    assert (found.num_layers, found.num_left) == (5, 0)
    report = load_weights(body, path)
    assert not report.missing
    assert not report.unexpected
    assert report.model_share == pytest.approx(1.0, abs=0.02)  # all but the counters of batches
    assert_body(body, written)


@torch.no_grad()
def test_network_of_a_file_computes_what_the_file_says(tmp_path):
    """The first layer by darknet's formula: (conv - mean) / sqrt(variance + 1e-5) · scale + bias, leaky 0.1."""
    numbers = Numbers()
    first = numbers.body()[0]
    body = Body()
    load_weights(body, numbers.save(tmp_path / "body.weights"))
    x = torch.rand(1, 3, 9, 7)
    y = nn.functional.conv2d(x, first["weight"], padding=1)
    spread = (first["var"] + 1e-5).sqrt()
    y = (y - first["mean"][:, None, None]) / spread[:, None, None]
    y = y * first["scale"][:, None, None] + first["bias"][:, None, None]
    torch.testing.assert_close(body.eval().stage1[0](x), torch.where(y > 0, y, 0.1 * y))


def test_plain_convolutions_have_a_bias_only(tmp_path):
    numbers = Numbers()
    written, channels = [], 3
    for filters, kernel, _ in ROWS:
        written.append(numbers.conv(channels, filters, kernel, batch_normalize=False))
        channels = filters
    body = Body(norm=None)
    report = load_weights(body, numbers.save(tmp_path / "body.weights"))
    assert not report.missing
    for conv, wanted in zip(body_convs(body), written, strict=True):
        assert torch.equal(conv.conv.weight, wanted["weight"])
        assert torch.equal(conv.conv.bias, wanted["bias"])


@pytest.mark.parametrize("transposed", [False, True])
def test_connected_layers(transposed, tmp_path):
    """save_connected_weights: biases, weights, then the norm; the oldest files hold the weights transposed."""
    numbers = Numbers()
    bias = numbers.draw(4)
    weight = numbers.draw(6, 4) if transposed else numbers.draw(4, 6)
    scale, mean, var = numbers.draw(4), numbers.draw(4), numbers.draw(4)
    last_bias, last = numbers.draw(2), (numbers.draw(4, 2) if transposed else numbers.draw(2, 4))
    version = (1_017_370_378, 1_063_675_494, 0) if transposed else (0, 1, 0)  # floats, read as whole numbers
    path = numbers.save(tmp_path / "fc.weights", version=version)
    layers = (
        DarknetLayer(name="a", kind="connected", shape=(4, 6), norm="b"),
        DarknetLayer(name="c", kind="connected", shape=(2, 4)),
    )
    tensors = read_darknet_weights(path, layers).tensors
    wanted = {"a.weight": weight, "b.bias": bias, "b.weight": scale, "b.running_mean": mean, "b.running_var": var}
    wanted |= {"c.weight": last, "c.bias": last_bias}
    if transposed:
        wanted |= {"a.weight": weight.T, "c.weight": last.T}
    assert tensors.keys() == wanted.keys()
    assert all(torch.equal(tensors[key], value) for key, value in wanted.items())


def test_local_layers_have_a_bias_for_each_place(tmp_path):
    """save_weights_upto: l.outputs biases, then the weights of one place after the other."""
    numbers = Numbers()
    bias, weight = numbers.draw(5, 4), numbers.draw(4, 5, 2, 3, 3)
    path = numbers.save(tmp_path / "local.weights")
    layer = DarknetLayer(name="local", kind="local", shape=(4, 5, 2, 3, 3))
    assert layer.num_numbers == 20 + 360
    tensors = read_darknet_weights(path, [layer]).tensors
    assert torch.equal(tensors["local.weight"], weight)
    assert torch.equal(tensors["local.bias"], bias)


def detector_numbers(num_classes):
    numbers = Numbers()
    return (
        numbers,
        numbers.body(),
        numbers.conv(8, 5, 1),
        numbers.conv(5, 2 * (5 + num_classes), 1, batch_normalize=False),
    )


def test_parts_of_a_detector_follow_one_another(tmp_path):
    numbers, body, inner, last = detector_numbers(3)
    model = Detector(3)
    report = load_weights(model, numbers.save(tmp_path / "d.weights"))
    assert not report.missing
    assert_body(model.backbone, body)
    assert torch.equal(model.head.inner.conv.weight, inner["weight"])
    assert torch.equal(model.head.last.weight, last["weight"])
    assert torch.equal(model.head.last.bias, last["bias"])


@pytest.mark.parametrize("file_classes", [1, 2, 7, 80])
def test_another_number_of_classes_is_read_from_the_length(file_classes, tmp_path):
    numbers, body, inner, last = detector_numbers(file_classes)
    model = Detector(3)
    before = model.head.last.weight.clone()
    report = load_weights(model, numbers.save(tmp_path / "d.weights"))
    assert [item.key for item in report.reshaped] == ["head.last.weight", "head.last.bias"]
    assert report.reshaped[0].file_shape == (2 * (5 + file_classes), 5, 1, 1)
    assert_body(model.backbone, body)
    assert torch.equal(model.head.inner.conv.weight, inner["weight"])
    assert torch.equal(model.head.last.weight, before)
    layers = [layer.moved("backbone.") for layer in model.backbone.darknet_layers()]
    layers += [layer.moved("head.") for layer in model.head.darknet_layers()]
    tensors = read_darknet_weights(tmp_path / "d.weights", layers).tensors
    assert torch.equal(tensors["head.last.weight"], last["weight"])


def test_a_body_gets_its_part_of_a_longer_file(tmp_path):
    numbers, body, *_ = detector_numbers(3)
    path = numbers.save(tmp_path / "d.weights")
    bare = Body()
    report = load_weights(bare, path)
    assert_body(bare, body)
    left = 5 * (4 + 8) + 16 * (1 + 5)
    assert report.skipped == (f"{left} numbers behind the backbone's last layer",)
    assert f"left alone: {left} numbers" in report.summary()
    classifier = ImageClassifier(Body(), 4)
    report = load_weights(classifier, path)
    assert_body(classifier.backbone, body)
    assert report.missing == ("head.linear.weight", "head.linear.bias")


@pytest.mark.parametrize("name", ["body.conv.5", "body.weights"])
def test_a_file_that_was_cut_between_layers_loads_in_part(name, tmp_path):
    """As darknet53.conv.74, which holds the body alone."""
    numbers = Numbers()
    body = numbers.body()
    model = Detector()
    report = load_weights(model, numbers.save(tmp_path / name))
    assert_body(model.backbone, body)
    assert all(key.startswith("head.") for key in report.missing)
    assert len(report.missing) == 7


def test_a_file_cut_inside_a_layer(tmp_path):
    numbers = Numbers()
    numbers.body()
    path = numbers.save(tmp_path / "body.weights")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match=r"expected 464 numbers for 'stage2.1.conv', layer 4 .*; 454 are left"):
        load_weights(Body(), path)


def test_a_file_cut_inside_a_number(tmp_path):
    numbers = Numbers()
    numbers.body()
    with pytest.raises(CheckpointError, match=r"1 beyond whole numbers.*cut short or no file of darknet"):
        load_weights(Body(), numbers.save(tmp_path / "body.weights", extra=b"x"))


def test_numbers_behind_the_last_layer_of_a_whole_model(tmp_path):
    numbers, *_ = detector_numbers(3)
    numbers.draw(1)
    with pytest.raises(CheckpointError, match=r"for 7 layers; 1 more follow.*put its \.cfg beside it as d\.cfg"):
        load_weights(Detector(3), numbers.save(tmp_path / "d.weights"))


@pytest.mark.parametrize("content", [b"", b"abc", struct.pack("<iiiq", 0, 2, 0, 1)])
def test_a_file_without_numbers(content, tmp_path):
    (tmp_path / "w.weights").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"w\.weights: expected a header of \d+ bytes and float32 numbers"):
        load_weights(Body(), tmp_path / "w.weights")


def test_absent_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.weights.*No such file"):
        load_weights(Body(), tmp_path / "gone.weights")


@pytest.mark.parametrize("model", [resnet18(), ImageClassifier(resnet18(), 2)])
def test_models_of_other_layers_say_so(model, tmp_path):
    numbers = Numbers()
    numbers.body()
    with pytest.raises(CheckpointError, match=r"expected a model of darknet's layers.*Choose yolo_v1"):
        load_weights(model, numbers.save(tmp_path / "w.weights"))


def test_values_that_are_not_finite(tmp_path):
    numbers = Numbers()
    numbers.body()
    numbers.parts[0][:] = np.nan
    with pytest.raises(CheckpointError, match="hold NaN or infinity"):
        load_weights(Body(), numbers.save(tmp_path / "w.weights"))


def test_a_cfg_that_agrees(tmp_path):
    numbers, body, *_ = detector_numbers(9)
    more = "\n[conv]\nbatch_normalize=1\nfilters=5\n\n[convolutional]\nfilters=28\nsize=1\n[yolo]\nclasses=9\n"
    (tmp_path / "d.cfg").write_text(cfg_text(more=more))
    model = Detector(3)
    report = load_weights(model, numbers.save(tmp_path / "d.weights"))
    assert_body(model.backbone, body)
    assert report.reshaped[0].file_shape == (28, 5, 1, 1)
    bare = Body()
    load_weights(bare, tmp_path / "d.weights")  # the body of a longer .cfg
    assert_body(bare, body)


@pytest.mark.parametrize(
    ("rows", "more", "line", "message"),
    [
        (
            ((4, 3, 1), (7, 3, 2), *ROWS[2:]),
            "",
            "filters = 7",
            r"expected filters 6 for 'stage1.1.conv', layer 1 .*; got 7",
        ),
        (((4, 5, 1), *ROWS[1:]), "", "size=5", r"expected size 3 for 'stage1.0.conv', layer 0 .*; got 5"),
        (((4, 3, 1), (6, 3, 1), *ROWS[2:]), "", "stride=1", r"expected stride 2 .*; got 1"),
        (
            ROWS,
            "\n[convolutional]\nfilters=2\n",
            "[convolutional]",
            r"expected 5 layers with weights; this is one more",
        ),
        (ROWS[:4], "\n[connected]\noutput=8\n", "[connected]", r"expected the section convolutional .*; got connected"),
        (
            ROWS[:4],
            "\n[convolutional]\nfilters=8\nsize=3\n",
            "[convolutional]",
            r"expected batch_normalize True .*; got False",
        ),
        (
            ROWS[:4],
            "\n[convolutional]\nfilters=8.5\n",
            "filters=8.5",
            r"expected a whole number for 'filters'.*got '8.5'",
        ),
    ],
)
def test_a_cfg_that_differs_says_where(rows, more, line, message, tmp_path):
    numbers = Numbers()
    numbers.body()
    text = cfg_text(rows, more)
    (tmp_path / "body.cfg").write_text(text)
    path = numbers.save(tmp_path / "body.weights")
    with pytest.raises(CheckpointError, match=message) as caught:
        read_darknet_weights(path, Body().darknet_layers())
    number = int(re.search(r"body\.cfg:(\d+): ", str(caught.value))[1])
    assert text.splitlines()[number - 1] == line


def test_sections_of_a_cfg(tmp_path):
    (tmp_path / "a.cfg").write_text(
        "[net]\n#[yolo]\nwidth = 416 \n\n[region]\nanchors = 1.08,1.19,  3.42,4.41\n;c\n[max]\nsize=2\nsize=3\n"
    )
    net, region, pool = read_darknet_cfg(tmp_path / "a.cfg")
    assert (net.kind, net.line, dict(net.options)) == ("net", 1, {"width": "416"})
    assert region.options["anchors"] == "1.08,1.19,3.42,4.41"
    assert (pool.kind, pool.line, pool.number("size", 1)) == ("maxpool", 8, 2)  # of two the first
    assert pool.number("stride", 7) == 7
    assert pool.place("size").endswith("a.cfg:9")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[net]\n[convolutionl]\n", r"a\.cfg:2: .*got \[convolutionl\].*Did you mean 'convolutional'"),
        ("[net]\n[lstm]\n", r"a\.cfg:2: .*got \[lstm\]"),
        ("[net\n", r"a\.cfg:1: .*Close the bracket"),
        ("[net]\nwidth 416\n", r"a\.cfg:2: .*key=value; got 'width 416'"),
        ("\nwidth=416\n[net]\n", r"a\.cfg:2: .*after a \[net\]"),
        ("# nothing\n", r"a\.cfg: expected \[net\] as the first section; got nothing"),
        ("\n[convolutional]\nfilters=1\n", r"a\.cfg:2: expected \[net\] as the first section; got \[convolutional\]"),
    ],
)
def test_broken_cfg(text, message, tmp_path):
    (tmp_path / "a.cfg").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_darknet_cfg(tmp_path / "a.cfg")


def test_absent_cfg(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        read_darknet_cfg(tmp_path / "gone.cfg")


def test_names_and_settings_of_files():
    assert is_darknet_file("a/yolov3.weights")
    assert is_darknet_file(Path("darknet53.conv.74"))
    assert not is_darknet_file("weights.pth")
    assert weights_settings("yolov3.weights") == {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
