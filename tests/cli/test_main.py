"""The command line from outside: quick, helpful, and with exit codes that mean something."""

import json
import resource
import shlex
import signal
import subprocess
import sys
import time

import pytest

import snellen
from snellen import recipes
from snellen.cli import main as entry
from snellen.errors import CheckpointError, ConfigError, DatasetError, InputError, MissingExtraError, TrainingError
from snellen.recipes.reporting import _commands

COMMANDS = (
    ("train",), ("check",), ("explain",), ("lr",), ("eval",), ("ensemble",), ("predict",), ("models",), ("demo",),
    ("enhance",), ("treat",), ("ablate",), ("data", "describe"), ("data", "convert"), ("data", "draw"),
)  # fmt: skip

# Whoever removes or renames one of these breaks scripts of others: say so in the change log, then change it here.
READING = {"--format", "--classes", "--images", "--ignore-index", "--task", "--columns", "--separator"}
OPTIONS = {
    "train": READING | {
        "--model", "-m", "--weights", "--mean", "--std", "--padding", "--epochs", "--image-size", "--batch-size",
        "--lr", "--momentum", "--nesterov", "--switch-epoch", "--switch-lr", "--power", "--cycles", "--l1",
        "--plateau-patience", "--swa-epochs", "--finetune", "--split-seed", "--folds", "--subsets", "--seeds", "--keep",
        "--bootstrap", "--noise", "--clip-value",
        "--layer-decay", "--freeze",
        "--optimizer", "--schedule", "--milestone", "--weight-decay", "--warmup-steps", "--accumulate", "--clip-norm",
        "--ema", "--patience", "--precision", "--augment", "--flip", "--no-flip", "--seed", "--device", "--workers",
        "--validate-every",
        "--mosaic", "--sampler", "--multi-scale", "--no-multi-scale", "--proposals", "--set",
        "--enhance", "--cutmix", "--randaugment", "--erase", "--subset", "--loss", "--class-weights", "--headline",
        "--mixup", "--copy-paste", "--out", "-o", "--resume", "--tensorboard", "--no-tensorboard",
        "--check", "--no-check", "--force", "--activation", "--norm", "--init", "--config", "--repairs", "--crop",
        "--balanced-crops", "--ignored-band",
    },
    "treat": {"--dry-run", "--info", "--most", "--most-seeds", "--only", "--out", "-o", "--processes", "--seeds"},
    "ablate": {
        "--arm", "--figures", "--one-at-a-time", "--out", "-o", "--print", "--processes", "--resume", "--seeds",
        "--split", "--vary", "--vary-use",
    },
    "check": READING | {
        "--model", "-m", "--against", "--select", "--ignore", "--baseline", "--write-baseline", "--html", "--json",
        "--sarif",
        "--lang", "--fail-on", "--exit-zero", "--max-places", "--deep", "--weights", "--mean", "--std", "--padding",
        "--epochs",
        "--image-size", "--batch-size", "--lr", "--optimizer", "--schedule", "--milestone", "--weight-decay",
        "--warmup-steps", "--accumulate", "--precision", "--augment", "--flip", "--no-flip", "--sampler",
        "--proposals", "--set", "--seed", "--device",
    },
    "baseline": READING | {
        "--models", "--limit", "--minutes", "--weights", "--backbone", "--seed", "--device", "--out", "-o",
    },
    "explain": {"--lang"},
    "lr": READING | {
        "--model", "-m", "--weights", "--mean", "--std", "--padding", "--image-size", "--batch-size", "--optimizer",
        "--weight-decay", "--accumulate", "--clip-norm", "--augment", "--set", "--seed", "--device", "--workers",
        "--from", "--to", "--steps", "--out", "-o", "--json",
    },
    "ensemble": {"--how", "--weights", "--snapshots", "--last", "--boxes", "--iou", "--out", "-o"},
    "eval": {
        "--split", "--which", "--format", "--device", "--json", "--at-recall", "--at-precision", "--best-f1", "--find",
        "--calibrate", "--plain", "--crf", "--crf-set", "--flip", "--scales", "--tile", "--tune-crf",
    },
    "predict": {
        "--out", "-o", "--which", "--tile", "--min-score", "--draw", "--no-draw", "--device", "--box", "--crf",
        "--crf-set", "--flip", "--model", "--scales", "--seeds", "--set",
    },
    "models": {
        "--task", "--search", "--backbones", "--classes", "--num-classes", "--size", "--depth", "--set", "--picture",
        "--weights", "--json", "--time",
    },
    "demo": {"--out", "-o"},
    "enhance": {"--operations", "--auto", "--out", "-o", "--sheet", "--workers", "--lang", "--list", "--json"},
    "data describe": READING | {"--verify", "--no-verify", "--max-problems"},
    "data convert": READING | {"--to"},
    "data draw": READING | {"--out", "-o", "--count", "--seed", "--split"},
}  # fmt: skip


def commands():
    import typer

    def walk(group, names):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from walk(command, (*names, name))
            else:
                yield " ".join((*names, name)), command

    return dict(walk(typer.main.get_command(entry.app), ()))


def test_options_are_those_that_were_promised():
    found = {}
    for name, command in commands().items():
        options = [option for option in command.params if option.param_type_name == "option"]
        found[name] = {word for option in options for word in (*option.opts, *option.secondary_opts)}
    assert {name: words - {"--help", "-h"} for name, words in found.items()} == OPTIONS


def test_help_is_quick_and_leaves_torch_alone():
    program = (
        "import sys, snellen.cli.main as entry\n"
        "sys.argv = ['snellen', '--help']\n"
        "try:\n    entry.main()\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "heavy = {'torch', 'torchvision', 'numpy', 'PIL', 'sklearn', 'skimage'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.6  # 0.15 s where it was written
    assert "Start here" in done.stdout


def test_help_names_every_command(call):
    said = call("--help")
    assert said.code == 0
    for words in COMMANDS:
        assert words[0] in said.out


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_a_command_has_examples(call, words, flag):
    said = call(*words, flag)
    assert said.code == 0
    assert "Example" in said.out
    assert f"snellen {' '.join(words)}" in said.out


def test_every_option_has_a_help_text():
    for name, command in commands().items():
        for option in command.params:
            if option.name != "help":
                assert getattr(option, "help", None), f"{name} {option.name}"


def test_version(call):
    assert call("--version").out == f"snellen {snellen.__version__}\n"


def test_nothing_said_shows_the_help(call):
    said = call()
    assert said.code in (0, 2)
    assert "Start here" in said.out + said.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("trian",), "Did you mean 'train' or"),
        (("evaluate",), "Did you mean 'eval'?"),
        (("data", "descibe", "x"), "describe"),
        (("train", "--epoch", "3"), "--epochs"),
        (("predict",), "run"),
        (("train", "--epochs", "many"), "--epochs"),
        (("train", "--optimizer", "adamm"), "adamw"),
        (("models", "resnet81"), "Did you mean 'resnet18'"),
    ],
)
def test_mistyped(call, words, hint):
    said = call(*words)
    assert said.code == 2
    assert hint in said.err


def test_mistyped_names_of_things(call, letters):
    assert "Did you mean 'resnet18'" in call("train", letters / "classes", "--model", "resent18").err
    said = call("data", "describe", letters / "classes", "--format", "cvs")
    assert (said.code, "Did you mean 'csv'" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x"), 2),
        (ConfigError("x"), 2),
        (DatasetError("x", file="f", line=3), 3),
        (CheckpointError("x"), 4),
        (MissingExtraError("cv2", extra="video", purpose="x"), 5),
        (TrainingError("x"), 6),
        (KeyboardInterrupt(), 130),
        (PermissionError(13, "Permission denied", "/some/where"), 2),
    ],
)
def test_exit_codes(call, monkeypatch, error, code):
    def fail():
        raise error

    monkeypatch.delenv("SNELLEN_DEBUG", raising=False)
    monkeypatch.setattr(entry, "app", fail)
    said = call("anything")
    assert said.code == code
    assert "error: " in said.err
    assert "Traceback" not in said.err


def test_every_error_has_an_exit_code_in_the_documentation():
    for code in (
        "0 done",
        "1 a fault",
        "2 a wrong",
        "3 a data set",
        "4 weights",
        "5 a missing",
        "6 training",
        "7 faults",
        "130",
    ):
        assert code in entry.__doc__


def test_debug_shows_where(monkeypatch):
    def fail():
        raise ConfigError("x")

    monkeypatch.setenv("SNELLEN_DEBUG", "1")
    monkeypatch.setattr(entry, "app", fail)
    with pytest.raises(ConfigError):
        entry.main()


def test_models_are_listed_and_described(call):
    listed = call("models")
    assert listed.code == 0
    assert all(row.name in listed.out for row in recipes.models())
    described = call("models", "mobilenet_v2", "--num-classes", 3, "--size", 64)
    assert "M parameters" in described.out
    assert "64 x 64" in described.out
    assert "mult-adds" in described.out


def test_the_list_of_models_can_be_narrowed(call):
    found = call("models", "--task", "box", "--search", "retina")
    assert "retinanet_r18_fpn" in found.out
    assert "resnet18 " not in found.out
    assert "unet" not in found.out
    listed = json.loads(call("models", "--search", "ssd", "--json").out)
    assert {row["family"] for row in listed["models"]} == {"ssd"}
    assert "resnet18" in listed["backbones"]["resnet"]
    nothing = call("models", "--search", "nothing of the kind")
    assert nothing.code == 2
    assert "Leave out --search" in nothing.err
    assert "ssd_vgg16" in call("models", "--backbones").out


def test_models_with_another_backbone(call):
    told = call("models", "faster_rcnn_mobilenet_v2_fpn", "--set", "backbone=resnet18", "--size", 64, "--depth", 1)
    assert "c5: 512 channels" in told.out
    assert "FeaturePyramid" in told.out
    wrong = call("models", "faster_rcnn_mobilenet_v2_fpn", "--set", "backbone=ssd_vgg16", "--size", 64)
    assert wrong.code == 2
    assert "lacks c5: it has c3 (stride 8), c4 (stride 16)" in " ".join(wrong.err.split())


def test_a_backbone_is_described_as_json(call):
    told = json.loads(call("models", "ssd_vgg16", "--size", 64, "--depth", 1, "--json").out)
    assert [row["name"] for row in told["features"]] == ["c3", "c4"]
    assert told["features"][1]["receptive_field_px"] == 420
    assert {row["path"] for row in told["layers"]} >= {"", "layers", "fc6"}
    gated = json.loads(call("models", "seresnet18", "--size", 64, "--json").out)
    assert gated["features"][-1]["receptive_field_px"] == "image"
    assert gated["features"][-1]["local_field_px"] == 435


def test_a_model_is_timed(call):
    """SYS-362: how fast it is, for one image and for several."""
    told = call("models", "lenet5", "--depth", 0, "--time")
    assert "time of forward pass and decoding for images of 32 x 32" in told.out
    assert "  1 image " in told.out
    assert "  8 images" in told.out
    values = json.loads(call("models", "lenet5", "--depth", 1, "--time", "--json").out)
    assert [row["images"] for row in values["speed"]["batches"]] == [1, 8]
    assert "no model" in " ".join(call("models", "rcnn", "--time").err.split())


def test_receptive_fields_are_drawn(call, tmp_path):
    told = call("models", "lenet5", "--depth", 0, "--picture", tmp_path / "fields.png")
    assert told.code == 0
    assert "c2, stride 4 px, theory: 16 px" in told.out
    assert (tmp_path / "fields.png").stat().st_size > 1000
    assert call("models", "lenet5", "--picture", tmp_path / "fields.gif").code == 2


def test_broken_pipe(start):
    """Whoever reads has seen enough: no traceback."""
    process = start("models", stdout=subprocess.PIPE)
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 1)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_train_eval_predict(call, letters, tmp_path, tiny_options):
    run = tmp_path / "run"
    said = call(
        "train", letters / "classes", "--model", "mobilenet_v2", "--out", run, "--no-tensorboard", "--seed", 3,
        "--mean", "0.5", "--std", "0.2,0.3,0.4", *tiny_options,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.out == ""
    assert "report: " in said.err
    record = json.loads((run / "run.json").read_text())
    assert record["model_options"] == {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.3, 0.4]}
    assert record["settings"]["seed"] == 3
    assert (run / "report.html").exists()

    measured = call("eval", run, "--json", "--split", "val")
    assert measured.code == 0
    content = json.loads(measured.out)
    assert "accuracy" in json.dumps(content)
    assert "accuracy" in measured.err

    predicted = call("predict", run, letters / "classes" / "test", "--out", tmp_path / "found", "--no-draw")
    assert predicted.code == 0
    assert predicted.out == f"{tmp_path / 'found'}\n"
    assert "4 predicted, 0 skipped" in predicted.err


def test_the_command_in_the_report_repeats_the_run(call, letters, tmp_path, tiny_options):
    first, second = tmp_path / "first", tmp_path / "second"
    said = call(
        "train", letters / "classes", "--model", "mobilenet_v2", "--out", first, "--no-tensorboard", "--seed", 3,
        "--mean", "0.5", "--std", "0.2,0.3,0.4", "--padding", "same", "--classes", "O,C", "--patience", 4,
        "--mixup", 0.5,
        "--schedule", "multistep", "--milestone", 1, "--ema", 0.5, "--accumulate", 2, "--flip", *tiny_options,
    )  # fmt: skip
    assert said.code == 0, said.err
    commands = _commands(snellen.Run.open(first))
    words = shlex.split(commands[1])
    assert words[0] == "snellen"
    here = ("--out", second, "--no-tensorboard", "--device", "cpu", "--workers", 0)
    assert call(*words[1:], *here).code == 0
    one, other = (json.loads((folder / "run.json").read_text()) for folder in (first, second))
    for record in (one, other):
        for name in ("reasons", "environment", "options"):  # the second was given what the first chose
            del record[name]
    assert one == other
    assert all(words in (first / "report.html").read_text() for words in ("--classes O,C", "--patience 4"))


def test_predict_names_what_it_skips(call, letters, finished, tmp_path):
    bad = tmp_path / "bad [1].jpg"
    bad.write_bytes(b"")
    good = next((letters / "classes" / "test").iterdir())
    said = call("predict", finished, good, bad, "--out", tmp_path / "found")
    assert said.code == 0
    assert str(bad) in said.err
    assert "1 predicted, 1 skipped" in said.err


def test_resume_takes_nothing_else(call, finished):
    said = call("train", "photos", "--resume", finished, "--epochs", 3)
    assert said.code == 2
    assert "got photos, --epochs too. Leave them out" in said.err


def test_describe(call, letters):
    said = call("data", "describe", letters / "boxes")
    assert said.code == 0
    assert "coco data set" in said.out
    assert "16 images, 2 classes" in said.out
    assert "no problems" in said.out


def test_convert(call, letters, tmp_path):
    said = call("data", "convert", letters / "boxes", tmp_path / "voc", "--to", "voc")
    assert (said.code, said.out) == (0, f"{tmp_path / 'voc'}\n")
    assert "voc data set" in call("data", "describe", tmp_path / "voc").out


def test_draw(call, letters, tmp_path):
    from PIL import Image

    out = tmp_path / "sheet.png"
    said = call("data", "draw", letters / "boxes", "--count", 3, "--split", "val", "--out", out)
    assert (said.code, said.out) == (0, f"{out}\n")
    with Image.open(out) as sheet:
        assert min(sheet.size) > 64


def test_ctrl_c_saves_and_says_how_to_go_on(start, letters, tmp_path, tiny_options):
    run = tmp_path / "run"
    options = [3000 if word == 1 else word for word in tiny_options]
    process = start("train", letters / "classes", "--model", "mobilenet_v2", "--out", run, "--no-tensorboard", *options)
    log = run / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and '"event": "step"' in log.read_text().replace('":"', '": "')):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"Go on with: snellen train --resume {run}" in err
    assert "Traceback" not in err
    assert (run / "checkpoints" / "last.pt").exists()
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("command", ["train", "check", "lr"])
def test_options_of_large_commands_stand_under_headings(call, command):
    """DX: eighty options in one list cannot be read; every option of training is under a heading."""
    told = call(command, "--help").out
    assert told.index("Model and weights") < told.index("│ --weights") < told.index("How the data are read")
    assert "Model and weights" not in call("predict", "--help").out
