import pickle
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.transforms.v2 import functional as tv

from snellen.errors import CheckpointError
from snellen.models.backbones import BasicBlock, ResNet, mobilenet_v2, resnet18
from snellen.models.classification import ImageClassifier
from snellen.models.segmentation import unet
from snellen.models.weights import load_weights, weights_settings
from snellen.nn import FrozenBatchNorm
from snellen.structures import ImageBatch

DEPTHS = (1, 1, 1, 1)  # the smallest network with every kind of key


def small_resnet(**options) -> ResNet:
    return ResNet(BasicBlock, DEPTHS, **options)


@pytest.fixture(scope="module")
def torchvision_state():
    torch.manual_seed(0)
    theirs = torchvision.models.resnet
    return theirs.ResNet(theirs.BasicBlock, list(DEPTHS), num_classes=10).state_dict()


@pytest.fixture
def classifier():
    torch.manual_seed(1)
    return ImageClassifier(small_resnet(), 10)


def assert_loaded(model, state):
    assert torch.equal(model.backbone.layer4[0].conv2.weight, state["layer4.0.conv2.weight"])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3, "best": 0.5},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {"checkpoint": 1, "model_state": {"model": state}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"module._orig_mod.{key}": value for key, value in state.items()}},
        lambda state: {"state_dict": {f"model.{key}": value for key, value in state.items()}},
        lambda state: {f"backbone.{key}": v for key, v in state.items() if not key.startswith("fc.")},
    ],
    ids=["bare", "state_dict", "model", "nested", "module", "compiled", "lightning", "ours"],
)
def test_every_wrapping_is_opened(wrap, torchvision_state, classifier, tmp_path):
    torch.save(wrap(torchvision_state), tmp_path / "w.pth")
    report = load_weights(classifier, tmp_path / "w.pth")
    assert_loaded(classifier, torchvision_state)
    assert set(report.missing) <= {"head.linear.weight", "head.linear.bias"}
    assert not report.unexpected


def test_averaged_weights_go_first(torchvision_state, classifier, tmp_path):
    plain = {key: torch.zeros_like(value) for key, value in torchvision_state.items()}
    torch.save({"model": plain, "model_ema": torchvision_state}, tmp_path / "w.pth")
    report = load_weights(classifier, tmp_path / "w.pth")
    assert report.section == "model_ema"
    assert_loaded(classifier, torchvision_state)


def test_another_number_of_classes_is_told_and_not_fatal(torchvision_state, tmp_path):
    model = ImageClassifier(small_resnet(), 3)
    head = model.head.linear.weight.detach().clone()
    torch.save(torchvision_state, tmp_path / "w.pth")
    report = load_weights(model, tmp_path / "w.pth")
    assert [item.key for item in report.reshaped] == ["head.linear.weight", "head.linear.bias"]
    assert report.reshaped[0].file_shape == (10, 512)
    assert report.reshaped[0].model_shape == (3, 512)
    assert torch.equal(model.head.linear.weight, head)
    assert_loaded(model, torchvision_state)
    assert "head.linear.weight [10, 512] in the file, [3, 512] in the model" in report.summary()


def test_classifier_feeds_an_encoder(torchvision_state, tmp_path):
    model = unet(small_resnet(), 3)
    torch.save(torchvision_state, tmp_path / "w.pt")
    report = load_weights(model, tmp_path / "w.pt")
    assert_loaded(model, torchvision_state)
    assert set(report.unexpected) == {"fc.weight", "fc.bias"}
    assert all(key.startswith(("decoder.", "head.")) for key in report.missing)
    encoder_size = sum(value.numel() for value in model.backbone.state_dict().values())
    assert report.model_share == pytest.approx(encoder_size / sum(v.numel() for v in model.state_dict().values()))


def test_bare_backbones(torchvision_state, tmp_path):
    backbone = small_resnet()
    torch.save(torchvision_state, tmp_path / "w.pth")
    assert not load_weights(backbone, tmp_path / "w.pth").missing
    torch.save(torchvision.models.mobilenet_v2(weights=None).state_dict(), tmp_path / "m.pth")
    assert not load_weights(mobilenet_v2(), tmp_path / "m.pth").missing


def test_frozen_norms_pass_over_the_counter(torchvision_state, tmp_path):
    model = ImageClassifier(small_resnet(norm=FrozenBatchNorm), 10)
    torch.save(torchvision_state, tmp_path / "w.pth")
    report = load_weights(model, tmp_path / "w.pth")
    assert not report.missing
    assert not report.unexpected
    assert torch.equal(model.backbone.bn1.running_var, torchvision_state["bn1.running_var"])
    assert sum(name.endswith("num_batches_tracked") for name in report.skipped) == 12


def test_skip_leaves_values_alone(torchvision_state, classifier, tmp_path):
    head = classifier.head.linear.weight.detach().clone()
    torch.save(torchvision_state, tmp_path / "w.pth")
    report = load_weights(classifier, tmp_path / "w.pth", skip=("head.",))
    assert torch.equal(classifier.head.linear.weight, head)
    assert report.skipped == ("head.linear.bias", "head.linear.weight")


def test_half_precision_safetensors_become_float32(torchvision_state, classifier, tmp_path):
    half = {key: value.half() if value.is_floating_point() else value for key, value in torchvision_state.items()}
    save_file(half, tmp_path / "w.safetensors")
    load_weights(classifier, tmp_path / "w.safetensors")
    assert classifier.backbone.conv1.weight.dtype == torch.float32
    assert torch.equal(classifier.backbone.conv1.weight, half["conv1.weight"].float())


def test_wrong_architecture_is_said(tmp_path):
    torch.save(torchvision.models.resnet50(weights=None).state_dict(), tmp_path / "w.pth")
    report = load_weights(ImageClassifier(resnet18(), 1000), tmp_path / "w.pth")
    assert report.file_share < 0.5
    assert "Is it of this architecture?" in report.summary()


def test_settings_from_metadata(tmp_path):
    metadata = {"mean": "[0.5, 0.5, 0.5]", "std": "[0.5, 0.5, 0.25]", "padding": "same", "other": "x"}
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors", metadata=metadata)
    settings = weights_settings(tmp_path / "w.safetensors")
    assert settings == {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.25), "padding": "same"}
    save_file({"a": torch.zeros(1)}, tmp_path / "none.safetensors")
    assert weights_settings(tmp_path / "none.safetensors") == {}
    assert weights_settings(tmp_path / "none.pth") == {}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"mean": "grey"}, r"'mean' must be three numbers as JSON.*got 'grey'"),
        ({"std": "[1, 2]"}, r"'std' must be three numbers"),
        ({"std": "7"}, r"'std' must be three numbers"),
        ({"padding": "valid"}, r"'padding' must be 'torch' or 'same'; got 'valid'"),
    ],
)
def test_wrong_metadata(metadata, message, tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match=message):
        weights_settings(tmp_path / "w.safetensors")


def write_cut_short(path, state):
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:5000])


def write_nan(path, state):
    torch.save({**state, "conv1.weight": torch.full_like(state["conv1.weight"], float("nan"))}, path)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("gone.pth", lambda path, state: None, "there is no such file"),
        ("folder.pth", lambda path, state: path.mkdir(), "there is no such file"),
        ("w.onnx", lambda path, state: path.write_bytes(b"x"), r"\.safetensors \.pth.*got '\.onnx'"),
        ("empty.pth", lambda path, state: path.write_bytes(b""), "cannot be read"),
        ("text.pth", lambda path, state: path.write_text("<html>not found</html>"), "cannot be read"),
        ("image.pth", lambda path, state: Image.new("RGB", (9, 9)).save(path, "PNG"), "cannot be read"),
        ("cut.pth", write_cut_short, "cannot be read"),
        ("text.safetensors", lambda path, state: path.write_text("not safe at all"), "cannot be read"),
        ("empty.safetensors", lambda path, state: path.write_bytes(b""), "cannot be read"),
        ("model.pt", lambda path, state: torch.save(nn.Linear(2, 2), path), r"Linear.*would run code"),
        ("other.pth", lambda path, state: torch.save({"a": Fraction(1, 2)}, path), "Fraction.*run code"),
        (
            "pickle.pth",
            lambda path, state: path.write_bytes(pickle.dumps(Fraction(1, 2))),
            r"other objects \(Unsupported operand.*run code",
        ),
        ("list.pth", lambda path, state: torch.save([1, 2], path), "found no tensor, only a list"),
        ("number.pth", lambda path, state: torch.save({"epoch": 3}, path), "found no tensor, only epoch"),
        (
            "alien.pth",
            lambda path, state: torch.save({"w": torch.ones(2)}, path),
            r"no key fits.*'w'.*'backbone",
        ),
        ("nan.pth", write_nan, "1 tensors hold NaN or infinity, such as 'backbone.conv1.weight'"),
    ],
)
def test_bad_files(name, write, message, torchvision_state, classifier, tmp_path):
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    write(tmp_path / name, torchvision_state)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_weights(classifier, tmp_path / name)
    assert name in str(caught.value)
    assert "weights_only" not in str(caught.value)  # torch's advice is to switch the protection off
    for key, value in classifier.state_dict().items():
        assert torch.equal(value, before[key])


def photograph(file: Path) -> torch.Tensor:
    with Image.open(file) as image:
        rgb = image.convert("RGB")
    scale = 256 / min(rgb.size)
    rgb = rgb.resize((round(rgb.width * scale), round(rgb.height * scale)), Image.Resampling.BILINEAR)
    left, top = (rgb.width - 224) // 2, (rgb.height - 224) // 2
    return tv.pil_to_tensor(rgb.crop((left, top, left + 224, top + 224)))


@pytest.mark.parametrize(("name", "imagenet_label"), [("bees", 309), ("ants", 310)])
def test_real_weights_know_real_photographs(name, imagenet_label, shared_data):
    """These weights score 0.89 on ImageNet, and 0.66 on other people's photographs of these two."""
    half = (0.5, 0.5, 0.5)
    model = ImageClassifier(mobilenet_v2(padding="same"), 1000, mean=half, std=half).eval()
    report = load_weights(model, shared_data / "weights" / "mobilenet_v2_imagenet.safetensors")
    assert report.model_share == report.file_share == 1
    assert not report.missing
    files = sorted((shared_data / "hymenoptera" / "val" / name).glob("*.jpg"))[:16]
    pixels = torch.stack([photograph(file) for file in files])
    sizes = torch.tensor([[224, 224]] * len(files))
    with torch.inference_mode():
        output = model(ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes))
    labels = [scores.probs.argmax().item() for scores in model.decode(output, sizes)]
    assert labels.count(imagenet_label) >= len(files) / 2
