"""Treatments are changes that `snellen train` knows, for every row of the table and every kind of run."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

import snellen
from snellen.data import load
from snellen.doctor import CHECKS, Finding, Level, Treatment, find_check
from snellen.models import MODELS, builder_options
from snellen.recipes import TrainOptions
from snellen.recipes.experiments.arms import changed
from snellen.recipes.preparing import prepare_training
from snellen.recipes.treating import answers, descent, generalising
from snellen.recipes.treating.remedies import APPLIED_FIRST, REMEDIES, WITH_ENSEMBLE, remedies_of
from snellen.recipes.treating.remedy import Remedy

SOURCE = Path(snellen.__file__).parent
ALL = {name: value for module in (answers, descent, generalising) for name, value in vars(module).items()
       if isinstance(value, Remedy)}  # fmt: skip
KINDS = {
    "classes": ("resnet18", {"lr": 0.5, "loss": "focal", "model_options": {"dropout": 0.5}}),
    "classes, SGD": (
        "mobilenet_v2",
        {
            "optimizer": "sgd",
            "weight_decay": 0.01,
            "norm": "group",
            "activation": "gelu",
            "ema": 0.9,
            "clip_norm": 0,
            "precision": "bf16",
            "warmup_steps": 0,
            "erase": 0.5,
        },
    ),
    "boxes": ("faster_rcnn_r18_fpn", {}),
    "boxes, C4": ("faster_rcnn_mobilenet_v2_c4", {}),
    "boxes, one stage": ("yolo_v3_mobilenet_v2", {}),
    "masks": ("unet_resnet18", {}),
}


@pytest.fixture(scope="module")
def runs(situation):
    return {kind: situation(kind.partition(",")[0], model, **options) for kind, (model, options) in KINDS.items()}


@pytest.fixture(scope="module")
def tuned(situation, trained):
    """A run that begins from given weights."""
    return situation("classes", "resnet18", weights=trained("classes").weights_file(), finetune="all")


@pytest.fixture(scope="module")
def frozen(situation, trained):
    """The same, of which only the head learns."""
    return situation("classes", "resnet18", weights=trained("classes").weights_file(), finetune="head")


def finding_for(name: str, image: str = "") -> Finding:
    treatment = {
        "OWN": Treatment(settings={"epochs": 9, "model_options": {"settings.selection.nms_iou": 0.44}}),
        "OWN_DROP": Treatment(drop_images=(image, "one-that-is-not-there.jpg")),
        "RELABEL": Treatment(data={"labels": {image: "C", "one-that-is-not-there.jpg": "C"}}),
    }
    return Finding(code="T18", level=Level.WARNING, message="small", numbers={"name": "box"},
                   treatment=treatment.get(name))  # fmt: skip


def test_every_row_is_a_check_with_that_message():
    for key in (*REMEDIES, *APPLIED_FIRST, *WITH_ENSEMBLE):
        code, _, message = key.partition(" ")
        assert code in {check.code for check in CHECKS}, key
        assert not message or message in find_check(code).pages["en"].messages, key
    for key, row in REMEDIES.items():
        assert row, key
        assert len({remedy.name for remedy in row}) == len(row), key


def test_every_remedy_is_used_and_has_a_name_of_its_own():
    used = {id(remedy) for row in REMEDIES.values() for remedy in row}
    unused = [
        name for name, remedy in ALL.items() if id(remedy) not in used and not name.startswith(("OWN", "RELABEL"))
    ]
    assert not unused
    assert len({remedy.name for remedy in ALL.values()}) == len(ALL)
    assert all(remedy.source for remedy in ALL.values())


@pytest.mark.parametrize("name", sorted(ALL))
def test_changes_are_options_that_exist(name, runs, tuned, frozen):
    """Each applies to a run of some kind at least, and what it changes is accepted there and is another value."""
    applied = 0
    for run in (*runs.values(), tuned, frozen):
        finding = finding_for(name, min(run.train_images))
        changes = ALL[name].change(run, finding)
        if changes is None:
            continue
        applied += 1
        inside = {key: value for key, value in changes.items() if key in run.inside}
        plain = {key: value for key, value in changes.items() if key not in inside}
        options = changed(run.given, changes)
        assert options != run.given
        for key, value in inside.items():
            assert run.inside[key] != value
            assert options.model_options[key] == value
        known = {entry.name for entry in fields(TrainOptions)} | set(run.known)
        assert set(plain) <= known
        again = ALL[name].change(run, finding)
        assert again == changes  # a pure function
    assert applied


@pytest.mark.parametrize("kind", [*KINDS, "given weights"])
def test_trainings_can_be_prepared_with_every_change(kind, runs, tuned, charts):
    run = tuned if kind == "given weights" else runs[kind]
    index = load(charts["classes" if kind == "given weights" else kind.partition(",")[0]])
    left_out = ("OWN", "OWN_DROP", "RELABEL")
    together: dict = {}
    for name, remedy in ALL.items():
        changes = None if name in left_out else remedy.change(run, finding_for(name))
        if changes is None or ({"model", "backbone", "finetune"} | together.keys()) & changes.keys():
            continue
        together |= changes
    assert len(together) >= 8
    ready = prepare_training(index, changed(run.given, together))
    settings = {**ready.record, **ready.record["settings"]}
    for name, value in together.items():
        if name in settings and value is not None and name != "enhance":
            stored = settings[name]
            assert stored == value or stored == list(value), name


def test_what_is_so_already_is_not_tried(situation):
    run = situation("classes", "resnet18", sampler="class_balanced", clip_norm=1.0, augment=1.0, optimizer="adamw",
                    init="kaiming", norm="group", activation="relu", mixup=0.5)  # fmt: skip
    for name in ("BALANCED", "TIGHT_CLIP", "AUGMENT", "ADAMW", "KAIMING", "GROUP_NORM", "RELU", "MIXUP", "USUAL_RATE"):
        assert ALL[name].change(run, finding_for(name)) is None, name


def test_given_weights_are_not_thrown_away(tuned):
    for name in ("KAIMING", "GROUP_NORM", "LEAKY", "SMALLER_MODEL", "LARGER_MODEL"):
        assert ALL[name].change(tuned, finding_for(name)) is None
    assert ALL["FREEZE_HEAD"].change(tuned, finding_for("FREEZE_HEAD")) == {"finetune": "head"}


def test_settings_of_another_model_are_found_by_their_last_name(runs):
    found = answers.OWN.change(runs["boxes, one stage"], finding_for("OWN"))
    assert found == {"epochs": 9, "settings.nms_iou": 0.44}
    assert answers.OWN.change(runs["boxes"], finding_for("OWN")) == {"epochs": 9, "settings.selection.nms_iou": 0.44}
    assert answers.OWN.change(runs["masks"], finding_for("OWN")) == {"epochs": 9}


def test_what_a_check_prescribes_comes_first():
    finding = Finding(code="T12", level=Level.WARNING, treatment=Treatment(settings={"patience": 5}))
    assert remedies_of(finding)[0] is answers.OWN
    assert remedies_of(Finding(code="T12", level=Level.WARNING))[0] is generalising.AUGMENT
    assert remedies_of(Finding(code="D21", level=Level.WARNING)) == ()


def test_treatments_that_checks_write_name_options_that_exist():
    """Whatever stands as a literal in a Treatment beneath the doctor is an option of `snellen train`, or of a model."""
    own = {entry.name for entry in fields(TrainOptions)}
    of_models = (
        {name for entry in MODELS.values() for name in builder_options(entry)}
        if hasattr(MODELS, "values")
        else {name for entry in MODELS for name in builder_options(entry)}
    )
    found = 0
    for file in (SOURCE / "doctor").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Treatment"):
                continue
            settings = next((word.value for word in node.keywords if word.arg == "settings"), None)
            for key, value in (
                zip(settings.keys, settings.values, strict=True) if isinstance(settings, ast.Dict) else ()
            ):
                assert key is None or key.value in own, f"{file.name}: {ast.unparse(node)}"
                found += 1
                if key is not None and key.value == "model_options" and isinstance(value, ast.Dict):
                    for inside in value.keys:
                        is_written = isinstance(inside, ast.Constant)
                        assert not is_written or inside.value in of_models, f"{file.name}: {inside.value}"
    assert found >= 20
