"""Options as a file: written, read, and the same training again."""

import json
from pathlib import Path

import pytest

import snellen
from snellen.data import ReadOptions, Repairs
from snellen.errors import ConfigError
from snellen.recipes import TrainOptions, read_config, write_config
from snellen.recipes.options import options_from
from snellen.recipes.options_file import decoded, encoded
from snellen.recipes.parts import DataPart

GIVEN = TrainOptions(
    model="resnet18",
    weights=Path("/weights/resnet18.pth"),
    lr=0.003,
    milestones=(3, 5),
    mean=(0.5, 0.5, 0.5),
    class_weights={"cat": 2.0},
    model_options={"class_weights": {"cat": 2.0}, "answer.objective.gamma": 1.5},
    read=ReadOptions(classes=("cat", "dog"), ignore_index=7),
    part=DataPart(kind="balanced", number=1, of=2, seed=0),
    repairs=Repairs(drop=("a.jpg",)),
    randaugment=(2, 9),
)


def test_options_survive_json():
    told = json.loads(json.dumps(encoded(GIVEN)))
    assert options_from(decoded(told)) == GIVEN
    assert "epochs" not in told  # what is left open stays open
    assert encoded(TrainOptions()) == {}


def test_options_survive_the_file(tmp_path):
    file = write_config(tmp_path / "run.yaml", "/data/photos", GIVEN, heading="as it was")
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# as it was\ndata: /data/photos\n")
    told = read_config(file)
    assert told.pop("data") == "/data/photos"
    assert options_from(told) == GIVEN


def test_paths_are_meant_from_the_file(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "run.yaml").write_text("data: photos\nbatch-size: 3\n", encoding="utf-8")
    told = read_config(tmp_path / "run.yaml")
    assert told == {"data": str(tmp_path / "photos"), "batch_size": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lrr: 3", "no option 'lrr'. Did you mean 'lr'"),
        ("- a", "expected options by name"),
        ("a: [", "expected a file of options"),
        ("read: {clases: [a]}", "read must have entries"),
        ("part: {kind: fold}", "part must have the entries"),
    ],
)
def test_what_is_no_file_of_options_is_told(tmp_path, text, message):
    file = tmp_path / "run.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_config(file)
    with pytest.raises(ConfigError, match="Check the path"):
        read_config(tmp_path / "none.yaml")


def test_a_run_tells_its_options(trained, charts):
    record = trained("classes").record
    options = TrainOptions(**decoded(record["options"]))
    assert options.model == "resnet18"
    assert options.epochs == 2
    assert options.lr is None  # it was chosen
    assert options.folder is None


def test_repairs_reach_the_training_and_its_record(charts, tiny, tmp_path):
    index = snellen.load(charts["classes"])
    train = [index.paths[row] for row in index.split_rows("train")]
    label = index.classes[int(index.annotations.labels[index.split_rows("train")[1]])]
    other = next(name for name in index.classes if name != label)
    run = snellen.train(
        charts["classes"], model="mobilenet_v2", folder=tmp_path / "run", tensorboard=False, measure=("val",),
        repairs={"drop": train[:1], "labels": {train[1]: other}}, **{**tiny, "epochs": 1},
    )  # fmt: skip
    assert run.record["repairs"] == {"drop": train[:1], "labels": {train[1]: other}}
    assert set(run.results) == {"val"}
    from snellen.recipes.evaluating import recorded_index

    seen = recorded_index(run)
    assert len(seen.split_rows("train")) == len(train) - 1
    assert seen.fingerprint() == run.record["fingerprint"]
    assert seen.fingerprint() != snellen.recipes.prepared(index, 0).fingerprint()


def test_a_network_is_reshaped_and_built_again_as_it_was(charts, tiny, tmp_path):
    import torch
    from torch import nn

    run = snellen.train(
        charts["classes"], model="resnet18", folder=tmp_path / "run", tensorboard=False, measure=("val",),
        activation="silu", norm="group", init="orthogonal", **{**tiny, "epochs": 1},
    )  # fmt: skip
    model = run.load()
    kinds = {type(layer) for layer in model.modules()}
    assert nn.SiLU in kinds
    assert nn.GroupNorm in kinds
    assert not kinds & {nn.ReLU, nn.BatchNorm2d}
    from snellen.recipes.preparing import initial_model

    first, again = (initial_model(run.record)[0] for _ in range(2))
    assert torch.equal(first.backbone.conv1.weight, again.backbone.conv1.weight)
    rows = first.backbone.conv1.weight.detach().flatten(1)
    torch.testing.assert_close(rows @ rows.T, 2 * torch.eye(len(rows)), atol=1e-4, rtol=0)
    page = run.report.read_text(encoding="utf-8")
    for word in ("--activation silu", "--norm group", "--init orthogonal"):
        assert word in page
    for given in ({"norm": "group"}, {"activation": "maxout"}):
        with pytest.raises(ConfigError, match="begin with random weights"):
            snellen.train(charts["classes"], model="resnet18", weights=run.weights_file(), **given, **tiny)


def test_maxout_is_trained_and_built_again(charts, tiny, tmp_path):
    """SYS-134: ``train --activation maxout``; the run's record alone gives the widened layers back."""
    import torch

    from snellen.nn import Maxout

    run = snellen.train(
        charts["classes"], model="lenet5_modern", folder=tmp_path / "run", tensorboard=False, measure=("val",),
        activation="maxout", **{**tiny, "epochs": 1},
    )  # fmt: skip
    model = run.load()
    assert sum(isinstance(layer, Maxout) for layer in model.modules()) > 0
    assert model.backbone.c1.out_channels == 12
    assert torch.isfinite(model.backbone.c1.weight).all()
    assert "--activation maxout" in run.report.read_text(encoding="utf-8")
