"""Plans of fine-tuning: from what is measured to what learns (SYS-193, SYS-194, DX-082 to DX-085, Q-023)."""

import copy
import io
import json

import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file
from torch import nn

import snellen
from snellen.doctor.evidence.transfer import StageFit, Transfer
from snellen.errors import ConfigError
from snellen.models import BACKBONES, find_model, load_weights, stage_paths
from snellen.recipes.finetuning import STAGE_DECAY, fine_tuning, finetuning_lines
from snellen.recipes.options import TrainOptions, options_from
from snellen.structures import BoxTarget, ClassTarget
from snellen.training import read_weights
from snellen.training.depth import group_of_parameters

STAGES = ("c1", "c2", "c3", "c4", "c5")


def measured(usual: int, *skills: float, error: float = 0.02) -> Transfer:
    stages = tuple(StageFit(name=name, skill=skill, shift=0.3) for name, skill in zip(STAGES, skills, strict=True))
    return Transfer(usual=usual, total=2 * usual, num_images=40, error=error, stages=stages, origin="resnet18")


SIMILAR = (0.1, 0.2, 0.4, 0.6, 0.9)
DIFFERENT = (0.1, 0.3, 0.4, 0.3, 0.3)
PEAKS_EARLY = (0.3, 0.9, 0.6, 0.5, 0.55)


@pytest.fixture(scope="module")
def model():
    return find_model("resnet18").build(3)


def plan(model, transfer, *, epochs: int = 10, batch_size: int = 16, target_type=ClassTarget, **options):
    return fine_tuning(
        model, TrainOptions(**options), transfer, target_type=target_type, epochs=epochs, batch_size=batch_size
    )


def starts(found) -> dict[str, int | None]:
    return {group.name: group.from_epoch for group in found.depth}


def test_few_and_similar_trains_the_head(model):
    """SYS-241."""
    found = plan(model, measured(10, *SIMILAR))
    assert found.name == "head"
    assert starts(found) == {**dict.fromkeys(STAGES), "head": 0}
    for words in ("10 images of a usual class", "0.90 ± 0.02", "similar from 0.5", "0.30 deviations"):
        assert words in found.reasons["finetune"]


def test_few_but_not_very_few_unfreezes_stage_by_stage(model):
    found = plan(model, measured(50, *SIMILAR))
    assert (found.name, found.layer_decay) == ("gradual", pytest.approx(1 / 2.6))
    assert starts(found) == {"head": 0, "c5": 1, "c4": 2, "c3": 3, "c2": 4, "c1": 5}
    factors = {group.name: group.factor for group in found.depth}
    assert factors["head"] == 1
    assert [factors[name] for name in reversed(STAGES)] == pytest.approx([STAGE_DECAY**depth for depth in range(1, 6)])


@pytest.mark.parametrize("epochs", [2, 3, 4])
def test_every_stage_learns_in_the_end_however_few_epochs(model, epochs):
    found = plan(model, measured(50, *SIMILAR), epochs=epochs)
    assert max(starts(found).values()) < epochs
    assert starts(found)["head"] == 0


def test_many_examples_train_everything(model):
    assert starts(plan(model, measured(500, *SIMILAR))) in ({}, {**dict.fromkeys(STAGES, 0), "head": 0})
    found = plan(model, measured(500, *DIFFERENT))
    assert (found.name, found.layer_decay, found.freeze, found.depth) == ("all", 1.0, None, ())
    assert found.gain == 1


def test_few_and_different_keeps_the_early_stages(model):
    assert plan(model, measured(10, *DIFFERENT)).freeze == "c3"  # no stage is clearly better: the earlier half
    found = plan(model, measured(10, *PEAKS_EARLY))
    assert found.freeze == "c2"
    assert starts(found) == {"c1": None, "c2": None, "c3": 0, "c4": 0, "c5": 0, "head": 0}
    assert "0.90 after c2" in found.reasons["finetune"]


def test_an_early_peak_within_the_noise_is_none(model):
    assert plan(model, measured(10, 0.3, 0.62, 0.6, 0.5, 0.55, error=0.1)).name == "head"


def test_what_the_user_says_wins(model):
    few = measured(10, *SIMILAR)
    assert plan(model, few, finetune="all").depth == ()
    found = plan(model, None, finetune="last:2", layer_decay=0.5)
    assert starts(found) == {"c1": None, "c2": None, "c3": None, "c4": 0, "c5": 0, "head": 0}
    assert {group.name: group.factor for group in found.depth}["c4"] == 0.25
    assert starts(plan(model, few, freeze="c2", finetune="all"))["c2"] is None
    with pytest.raises(ConfigError, match=r"cannot freeze up to 'c9'.*c1, c2"):
        plan(model, few, freeze="c9")


def test_small_batches_keep_the_statistics_of_the_weights(model):
    """SYS-358."""
    found = plan(model, measured(500, *SIMILAR), batch_size=2)
    assert all(group.fixed_norms for group in found.depth if group.name != "head")


def test_detectors_learn_as_before_unless_told(charts):
    detector = find_model("faster_rcnn_r18_fpn").build(2)
    assert plan(detector, None, target_type=BoxTarget, batch_size=4).depth == ()
    found = plan(detector, None, target_type=BoxTarget, freeze="c2", layer_decay=0.5)
    assert starts(found)["c2"] is None
    owners = group_of_parameters(detector, found.depth)
    assert {group.name for name, group in owners.items() if not name.startswith("backbone.")} == {"head"}
    assert found.gain == 1


def test_models_with_stages_of_their_own_do_not_unfreeze_gradually():
    with pytest.raises(ConfigError, match="stages of its own"):
        plan(staged(), None, finetune="gradual")


def staged():
    from snellen.models import MODELS
    from snellen.structures import Staged

    for entry in MODELS:
        if entry.regions:
            built = entry.build(2)
            if isinstance(built, Staged):
                return built
    raise AssertionError


def test_models_without_a_backbone_are_told():
    with pytest.raises(ConfigError, match="need a model that stands on a backbone"):
        stage_paths(nn.Linear(2, 2))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "alexnet", "vgg11", "darknet_tiny_v3"])
def test_stages_cover_the_backbone(name):
    holder = nn.Module()
    holder.backbone = BACKBONES[name]()
    paths = [path for parts in stage_paths(holder).values() for path in parts]
    for parameter, _ in holder.named_parameters():
        assert any(parameter.startswith(f"{path}.") for path in paths), parameter


@pytest.mark.parametrize("value", ["", "top", "last", "last:0", "last:x", 3])
def test_unknown_plans_are_refused(value):
    with pytest.raises(ConfigError, match="finetune must be auto, all, head"):
        options_from({"finetune": value})


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "net.safetensors"
    torch.manual_seed(3)
    save_file(find_model("mobilenet_v2").build(5).state_dict(), file)
    return file


def train(charts, weights, folder, **options):
    return snellen.train(
        charts["classes"],
        model="mobilenet_v2",
        weights=weights,
        folder=folder,
        tensorboard=False,
        check=False,
        **options,
    )


def test_a_head_is_trained_on_what_stays_as_it_was(charts, weights, tiny, tmp_path):
    run = train(charts, weights, tmp_path / "run", finetune="head", **tiny)
    fresh = find_model("mobilenet_v2").build(2)
    load_weights(fresh, weights)
    before = copy.deepcopy(fresh.state_dict())
    after = read_weights(run.store.best)
    for name, value in after.items():
        if name.startswith("backbone.") and not name.endswith("num_batches_tracked"):
            assert torch.equal(value, before[name]), name
    assert run.record["freeze"] == "c5"
    report = run.report.read_text(encoding="utf-8")
    assert "Fine-tuning" in report
    assert "--finetune head" in report


def test_the_plan_is_printed_and_written_down(charts, weights, tiny, tmp_path):
    console = Console(record=True, width=300, file=io.StringIO())
    run = train(charts, weights, tmp_path / "run", console=console, **{**tiny, "epochs": 1})
    text = console.export_text()
    assert "a usual class" in text or "are needed" in text
    record = json.loads((run.folder / "run.json").read_text())
    assert record["finetune"] in ("head", "all", "gradual")
    assert "transfer" in record
    for line in finetuning_lines(record):
        assert line in text


def test_gradual_plans_resume_exactly(charts, weights, tiny, tmp_path, monkeypatch):
    from snellen.recipes.session import Session
    from snellen.training import StepDone

    options = {**tiny, "epochs": 4, "finetune": "gradual"}
    whole = train(charts, weights, tmp_path / "whole", **options)

    class StopError(Exception):
        pass

    class Stopper:
        def see(self, event):
            if isinstance(event, StepDone) and event.step == 4:
                raise StopError

        def close(self):
            pass

    original = Session._observers
    monkeypatch.setattr(Session, "_observers", lambda self, *args: [*original(self, *args), Stopper()])
    with pytest.raises(StopError):
        train(charts, weights, tmp_path / "broken", **options)
    monkeypatch.setattr(Session, "_observers", original)
    resumed = snellen.resume(tmp_path / "broken")
    one, other = (torch.load(run.store.last, weights_only=True)["model"] for run in (whole, resumed))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_scratch_leaves_the_weights_aside(charts, weights, tiny, tmp_path):
    run = train(charts, weights, tmp_path / "run", finetune="scratch", **{**tiny, "epochs": 1})
    assert run.record["weights"] is None
    assert "left aside" in run.record["reasons"]["finetune"]


def test_plans_without_weights_are_refused(charts, tiny, tmp_path):
    with pytest.raises(ConfigError, match="start from weights; none were given"):
        snellen.train(
            charts["classes"], model="mobilenet_v2", finetune="head", folder=tmp_path / "x", check=False, **tiny
        )
