"""Losses of pixels from the command to the report (SYS-150, Q-014, DX-005)."""

import shlex

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import snellen
from snellen.cli.main import app
from snellen.data import ImageDataset
from snellen.doctor import Level, Status
from snellen.errors import ConfigError
from snellen.models import MODELS
from snellen.models.segmentation import PixelModel
from snellen.recipes.options import options_from
from snellen.recipes.preparing import prepare_training
from snellen.recipes.reporting import _commands
from snellen.recipes.runs import Run, build_model
from snellen.structures import IGNORE_LABEL, MaskTarget

SMALL = [entry.name for entry in MODELS if entry.target_type is MaskTarget and "mobilenet" in entry.name]


def planned(data, tiny, **options):
    return prepare_training(data, options_from({**tiny, "model": "fcn_8s_mobilenet_v2", **options}))


def counted(index) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of each class, and of the images that show it, by a plain loop."""
    num = len(index.classes)
    pixels, shown = np.zeros(num, int), np.zeros(num, int)
    dataset = ImageDataset(index)
    for row in range(len(index)):
        labels = dataset.truth(row).labels.flatten()
        counts = torch.bincount(labels[labels != IGNORE_LABEL].long(), minlength=num).numpy()
        pixels += counts
        shown += (counts > 0) * labels.numel()
    return pixels, shown


def test_median_frequency_is_made_from_the_training_masks(charts, tiny):
    ready = planned(charts["masks"], tiny, class_weights="median_frequency")
    pixels, shown = counted(ready.index.split("train"))
    options = ready.record["model_options"]
    assert options["class_pixels"] == pixels.tolist()
    assert options["image_pixels"] == shown.tolist()
    frequency = pixels / shown
    weights = build_model(ready.record).answer.class_weights.numpy()
    np.testing.assert_allclose(weights / weights[0], (1 / frequency) / (1 / frequency[0]), rtol=1e-5)
    assert "in the loss a pixel counts" in ready.record["reasons"]["class_weights"]


def test_weights_by_the_name_of_a_class(charts, tiny):
    ready = planned(charts["masks"], tiny, class_weights={"C": 5.0})
    classes = list(ready.index.classes)
    assert ready.record["model_options"]["class_weights"] == [5.0 if name == "C" else 1.0 for name in classes]
    with pytest.raises(ConfigError, match="must name classes of the data set"):
        planned(charts["masks"], tiny, class_weights={"Q": 5.0})


def test_masks_are_read_only_where_counts_are_asked_for(charts, tiny, monkeypatch):
    monkeypatch.setattr("snellen.recipes.target_statistics.pixels_of_masks", lambda *_: pytest.fail("masks were read"))
    planned(charts["masks"], tiny, class_weights=[1.0, 2.0, 2.0])
    planned(charts["masks"], tiny, loss="dice")


def test_the_command_in_the_report_leaves_counts_out(charts, tiny, tmp_path):
    record = planned(charts["masks"], tiny, class_weights="median_frequency", loss="focal").record
    words = shlex.split(_commands(Run.create(tmp_path / "planned", record))[1])
    assert 'class_weights="median_frequency"' in words
    assert 'loss="focal"' in words
    assert not any("pixels" in word for word in words)


@pytest.mark.parametrize("loss", ["lovasz", "ohem"])
def test_a_run_from_the_command_to_the_report(charts, tmp_path, loss):
    """Auxiliary head, dilation, a loss of one's own: nothing downstream knows of them."""
    words = ["train", str(charts["masks"]), "--model", "deeplab_v3_plus_mobilenet_v2", "--out", str(tmp_path / "run")]
    words += [
        "--epochs",
        "1",
        "--image-size",
        "64",
        "--batch-size",
        "3",
        "--workers",
        "0",
        "--no-check",
        "--loss",
        loss,
    ]
    words += ["--set", "auxiliary_weight=0.4", "--set", "output_stride=8", "--set", "width=16", "--no-tensorboard"]
    words += ["--set", "answer.objective.ignored_band=1"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    run = snellen.Run.open(tmp_path / "run")
    model = run.load()
    assert isinstance(model, PixelModel)
    assert model.answer.objective.loss == loss
    assert model.answer.objective.ignored_band == 1
    assert model.backbone.features[-1].stride == 8
    assert "mIoU" in run.results["test"].scalars
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_the_doctor_looks_at_every_small_segmenter(charts, tiny, name):
    """Nothing crashes, and nothing is found that U-Net, whose data these are, does not have too."""
    options = {key: tiny[key] for key in ("image_size", "batch_size", "workers", "device")}
    report = snellen.check(charts["masks"], model=name, **options)
    assert not report.with_status(Status.CRASHED)
    warned = {finding.code for finding in report.findings if finding.level > Level.INFO}
    usual = snellen.check(charts["masks"], model="unet_mobilenet_v2", **options)
    assert warned <= {finding.code for finding in usual.findings}
