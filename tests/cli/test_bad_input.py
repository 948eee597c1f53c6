"""Every kind of wrong argument, file of weights, run folder and image: the exit code, and what the user is told to do.

Broken data sets have a table of their own, in tests/data/test_bad_data.py.
"""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from snellen.models import find_model


class Place:
    """Where the cases are built."""

    def __init__(self, folder, letters, run, options):
        self.folder, self.letters, self.run, self.options = folder, letters, run, options

    def train(self, *words, data="classes", model="mobilenet_v2"):
        return ("train", self.letters / data, "--model", model, "--out", self.folder / "new", *self.options, *words)

    def weights(self, name, content):
        file = self.folder / name
        if isinstance(content, bytes):
            file.write_bytes(content)
        elif name.endswith(".safetensors"):
            save_file(content, file)
        else:
            torch.save(content, file)
        return self.train("--weights", file)

    def state(self, **options):
        return find_model("mobilenet_v2").build(options.pop("num_classes", 2), **options).state_dict()

    def broken(self, name, content):
        file = self.folder / name
        file.write_bytes(content)
        return file

    def changed_record(self, **changes):
        file = self.run / "run.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
        return self.run

    def damaged(self, content):
        (self.run / "checkpoints" / "best.pt").write_bytes(content)
        return self.run

    @property
    def photo(self):
        return next((self.letters / "classes" / "test").iterdir())


class RunsCode:
    """Its pickle would call a function when read."""

    def __reduce__(self):
        return print, ("code in a file of weights was run",)


def cut_short(place):
    import io

    memory = io.BytesIO()
    torch.save(place.state(), memory)
    return place.weights("cut.pth", memory.getvalue()[:50_000])


def with_nan(place):
    state = place.state()
    first = next(name for name, value in state.items() if value.is_floating_point())
    state[first] = state[first] * float("nan")
    return place.weights("nan.pth", state)


def without_checkpoint(place):
    (place.run / "checkpoints" / "best.pt").unlink()
    (place.run / "checkpoints" / "last.pt").unlink()
    (place.run / "checkpoints" / "last.previous.pt").unlink(missing_ok=True)
    return place.run


# name, command, exit code, words of the message that say what is wrong or what to do
ARGUMENTS = [
    ("epochs-zero", lambda p: p.train("--epochs", 0), 2, "epochs must be a whole number, 1 or more; got 0"),
    ("epochs-negative", lambda p: p.train("--epochs", -3), 2, "1 or more; got -3"),
    ("epochs-word", lambda p: p.train("--epochs", "ten"), 2, "--epochs"),
    ("epochs-fraction", lambda p: p.train("--epochs", "1.5"), 2, "--epochs"),
    ("batch-zero", lambda p: p.train("--batch-size", 0), 2, "batch_size must be a whole number, 1 or more"),
    ("image-size-zero", lambda p: p.train("--image-size", 0), 2, "image_size must be a whole number, 1 or more"),
    ("lr-zero", lambda p: p.train("--lr", 0), 2, "lr must be a finite number above 0"),
    ("lr-nan", lambda p: p.train("--lr", "nan"), 2, "lr must be a finite number above 0; got nan"),
    ("lr-inf", lambda p: p.train("--lr", "inf"), 2, "lr must be a finite number above 0; got inf"),
    ("weight-decay-negative", lambda p: p.train("--weight-decay", -1), 2, "weight_decay must be"),
    ("augment-two", lambda p: p.train("--augment", 2), 2, "augment must be a finite number from 0 to 1"),
    ("ema-one", lambda p: p.train("--ema", 1), 2, "ema must be a finite number from 0 (no average) to below 1"),
    ("clip-negative", lambda p: p.train("--clip-norm", -1), 2, "0 for no limit"),
    ("workers-negative", lambda p: p.train("--workers", -1), 2, "workers must be"),
    ("seed-negative", lambda p: p.train("--seed", -1), 2, "seed must be"),
    ("accumulate-zero", lambda p: p.train("--accumulate", 0), 2, "accumulate must be"),
    ("patience-zero", lambda p: p.train("--patience", 0), 2, "patience must be"),
    ("optimizer-unknown", lambda p: p.train("--optimizer", "adamm"), 2, "adamw"),
    ("schedule-unknown", lambda p: p.train("--schedule", "cosin"), 2, "cosine"),
    ("multistep-without-milestones", lambda p: p.train("--schedule", "multistep"), 2, "needs milestones"),
    ("milestone-zero", lambda p: p.train("--milestone", 0), 2, "milestones must be epochs"),
    ("precision-unknown", lambda p: p.train("--precision", "fp16"), 2, "bf16"),
    ("device-absent", lambda p: p.train("--device", "cuda:77"), 2, "Leave it out to use the best one"),
    ("device-nonsense", lambda p: p.train("--device", "gpu"), 2, "device must be one that torch can use here"),
    ("mean-of-two", lambda p: p.train("--mean", "0.5,0.5"), 2, "--mean must be one number or three"),
    ("mean-of-words", lambda p: p.train("--mean", "a,b,c"), 2, "--mean must be one number or three"),
    ("std-zero", lambda p: p.train("--std", "0,0.5,0.5"), 2, "std must be three finite numbers above 0"),
    ("padding-not-for-this", lambda p: p.train("--padding", "same", model="resnet18"), 2, "Leave it out"),
    ("model-unknown", lambda p: p.train(model="mobilnet_v2"), 2, "Did you mean 'mobilenet_v2'"),
    ("model-of-another-kind", lambda p: p.train(model="unet_resnet18"), 2, "Try model='resnet18'"),
    ("data-missing", lambda p: ("train", p.folder / "gone"), 3, "nothing is there. Check the path"),
    ("data-empty", lambda p: ("train", (p.folder / "empty").mkdir() or p.folder / "empty"), 3, "empty"),
    ("format-unknown", lambda p: p.train("--format", "csvv"), 2, "Did you mean 'csv'"),
    ("format-wrong", lambda p: p.train("--format", "voc"), 3, "classes"),
    ("classes-wrong", lambda p: p.train("--classes", "X,Y"), 3, "Check the labels, and the names"),
    (
        "ignore-index-negative",
        lambda p: p.train("--ignore-index", -1),
        2,
        "ignore_index must be a value that masks can",
    ),
    ("option-unknown", lambda p: p.train("--epoch", 3), 2, "--epochs"),
    ("out-is-a-file", lambda p: p.train("--out", p.broken("taken", b"x")), 2, "Choose another folder"),
    ("out-has-a-run", lambda p: p.train("--out", p.run), 4, "Resume it, or choose another folder"),
    ("describe-missing", lambda p: ("data", "describe", p.folder / "gone"), 3, "Check the path"),
    ("convert-unknown", lambda p: ("data", "convert", p.letters / "boxes", p.folder / "o", "--to", "coc"), 2, "'coco'"),
    (
        "convert-cannot-hold",
        lambda p: ("data", "convert", p.letters / "classes", p.folder / "o", "--to", "voc"),
        2,
        "voc",
    ),
    ("convert-not-empty", lambda p: ("data", "convert", p.letters / "boxes", p.letters, "--to", "voc"), 2, "empty"),
    ("draw-suffix", lambda p: ("data", "draw", p.letters / "boxes", "--out", p.folder / "a.doc"), 2, ".jpg or .png"),
    (
        "draw-folder",
        lambda p: ("data", "draw", p.letters / "boxes", "--out", p.folder / "no" / "a.png"),
        2,
        "Check the path",
    ),
    ("draw-count", lambda p: ("data", "draw", p.letters / "boxes", "--count", 0), 2, "--count"),
    ("draw-split", lambda p: ("data", "draw", p.letters / "boxes", "--split", "vall"), 2, "'vall'"),
    ("models-size", lambda p: ("models", "resnet18", "--size", 0), 2, "--size"),
    ("demo-unknown", lambda p: ("demo", "chart"), 2, "Did you mean 'charts'"),
]

WEIGHTS = [
    ("weights-missing", lambda p: p.train("--weights", p.folder / "no.pth"), 4, "no such file. Check the path"),
    ("weights-folder", lambda p: p.train("--weights", p.folder), 4, "expected a file of weights"),
    ("weights-empty", lambda p: p.weights("empty.pth", b""), 4, "fetch or save it again"),
    ("weights-text", lambda p: p.weights("text.pth", b"<html>404 not found</html>"), 4, "fetch or save it again"),
    ("weights-suffix", lambda p: p.weights("weights.onnx", b"x"), 4, "got '.onnx'"),
    ("weights-cut-short", cut_short, 4, "fetch or save it again"),
    ("weights-code", lambda p: p.weights("code.pth", pickle.dumps({"model": RunsCode()})), 4, ".pth"),
    ("weights-code-torch", lambda p: p.weights("code.pth", {"model": RunsCode()}), 4, "would run code from the file"),
    ("weights-whole-model", lambda p: p.weights("m.pth", torch.nn.Linear(2, 2)), 4, "save model.state_dict()"),
    ("weights-no-tensors", lambda p: p.weights("n.pth", {"epoch": 3}), 4, "Save model.state_dict()"),
    ("weights-nan", with_nan, 4, "take an earlier checkpoint"),
    (
        "weights-other-architecture",
        lambda p: p.weights("o.pth", {"blocks.0.attn.qkv": torch.ones(3)}),
        4,
        "Choose the file",
    ),
    (
        "safetensors-broken",
        lambda p: p.weights("b.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}"),
        4,
        "fetch or save",
    ),
    ("safetensors-empty", lambda p: p.weights("e.safetensors", {}), 4, "found no tensor"),
]

RUNS = [
    ("run-missing", lambda p: ("eval", p.folder / "gone"), 4, "expected the folder of a run"),
    ("run-near", lambda p: ("eval", p.folder / "a-rum"), 4, "Did you mean"),
    ("run-empty", lambda p: ("predict", p.folder, p.photo), 4, "with a run.json in it"),
    ("run-record-cut", lambda p: ("eval", p.broken("run.json", b'{"version": 1').parent), 4, "restore the file"),
    ("run-record-entries", lambda p: ("eval", p.broken("run.json", b'{"version": 1}').parent), 4, "not there"),
    ("run-record-future", lambda p: ("eval", p.changed_record(version=7)), 4, "expected a record of version 1"),
    ("run-model-unknown", lambda p: ("eval", p.changed_record(model="resnet1")), 2, "Did you mean"),
    ("run-other-model", lambda p: ("eval", p.changed_record(model="resnet18", model_options={})), 4, "do not fit"),
    ("run-data-gone", lambda p: ("eval", p.changed_record(data=str(p.folder / "gone"))), 3, "Check the path"),
    ("run-no-checkpoint", lambda p: ("eval", without_checkpoint(p)), 4, "Train first"),
    ("run-checkpoint-cut", lambda p: ("eval", p.damaged(b"PK\x03\x04 cut")), 4, "Delete it or copy it again"),
    ("run-checkpoint-empty", lambda p: ("predict", p.damaged(b""), p.photo), 4, "damaged file"),
    ("run-which", lambda p: ("eval", p.run, "--which", "newest"), 2, "best"),
    ("run-split", lambda p: ("eval", p.run, "--split", "vla"), 2, "'vla'"),
    ("run-split-of-other", lambda p: ("eval", p.run, p.letters / "classes", "--split", "vla"), 2, "'vla'"),
    ("run-other-kind", lambda p: ("eval", p.run, p.letters / "boxes"), 2, "Evaluate on a data set of the same kind"),
    ("run-device", lambda p: ("eval", p.run, "--device", "cuda:77"), 2, "Leave it out to use the best one"),
    ("resume-missing", lambda p: ("train", "--resume", p.folder / "gone"), 4, "expected the folder of a run"),
    ("resume-others", lambda p: ("train", "--resume", p.run, "--lr", 1), 2, "Leave them out, or start a new run"),
    (
        "resume-changed",
        lambda p: ("train", "--resume", p.changed_record(fingerprint="0")),
        4,
        "Restore it, or start a new",
    ),
]

IMAGES = [
    ("image-missing", lambda p: ("predict", p.run, p.folder / "gone.jpg"), 2, "Check the path"),
    ("image-pattern", lambda p: ("predict", p.run, str(p.folder / "*.tif")), 2, "a pattern that matches some"),
    ("image-folder-empty", lambda p: ("predict", p.run, p.folder), 2, "a folder with images"),
    ("image-empty", lambda p: ("predict", p.run, p.broken("a.jpg", b"")), 2, "none of 1 files could be read"),
    ("image-cut", lambda p: ("predict", p.run, p.broken("a.jpg", p.photo.read_bytes()[:700])), 2, "none of 1 files"),
    ("image-text", lambda p: ("predict", p.run, p.broken("a.txt", b"hello")), 2, "none of 1 files could be read"),
    ("video-empty", lambda p: ("predict", p.run, p.broken("a.mp4", b"")), 2, "expected a video"),
    ("video-damaged", lambda p: ("predict", p.run, p.broken("a.avi", b"RIFF....AVI LIST")), 2, "expected a video"),
    ("tile-for-classes", lambda p: ("predict", p.run, p.photo, "--tile", 64), 2, "judges an image as a whole"),
    ("score-of-two", lambda p: ("predict", p.run, p.photo, "--min-score", 2), 2, "--min-score"),
    ("predict-nothing", lambda p: ("predict", p.run), 2, "images"),
]

CASES = [*ARGUMENTS, *WEIGHTS, *RUNS, *IMAGES]


@pytest.fixture
def place(tmp_path, letters, run_folder, tiny_options):
    return Place(tmp_path, letters, run_folder, tiny_options)


@pytest.mark.parametrize(("build", "code", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_input(call, place, build, code, words):
    said = call(*build(place))
    told = " ".join(said.err.replace("│", " ").split())
    assert said.code == code, said.err
    assert words in told
    assert "Traceback" not in said.err
    assert "was run" not in said.out
    assert not (place.folder / "new").exists()  # nothing half made is left behind


def test_every_case_has_its_own_name():
    names = [case[0] for case in CASES]
    assert len(set(names)) == len(names) >= 40


def test_another_head_is_told_and_not_fatal(call, place):
    said = call(*place.weights("head.pth", place.state(num_classes=7)))
    assert said.code == 0
    assert "of another shape, kept as initialised" in said.err
