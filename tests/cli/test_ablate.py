"""snellen ablate, and options of train from a file."""

import json

import pytest

import snellen
from snellen.cli.ablate import _arm, _values, _varied
from snellen.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("sgd,adamw", ["sgd", "adamw"]),
        ("0.1,1e-3,2", [0.1, 1e-3, 2]),
        ("true,false,none", [True, False, None]),
        ("[8,11],[9]", [[8, 11], [9]]),
        ('{"a":1,"b":2},inverse', [{"a": 1, "b": 2}, "inverse"]),
    ],
)
def test_values_between_commas(text, values):
    assert _values(text) == values


def test_names_given_twice_add_up():
    assert _varied(["lr=1,2", "optimizer=sgd", "lr=3"], "--vary") == {"lr": [1, 2, 3], "optimizer": ["sgd"]}
    assert _arm("slow one: lr=0.1; epochs=4") == ("slow one", {"lr": 0.1, "epochs": 4})
    assert _arm("base:") == ("base", {})
    for wrong in ("lr", "=1", "lr="):
        with pytest.raises(ConfigError, match="must be NAME=A,B"):
            _varied([wrong], "--vary")
    with pytest.raises(ConfigError, match="must be NAME:OPTION=VALUE"):
        _arm("lr=0.1")


def test_ablate_takes_the_options_of_train(call, letters, tiny_options, tmp_path):
    out = tmp_path / "study"
    said = call("ablate", "--vary", "lr=0.001,0.0001", letters / "classes", "-m", "mobilenet_v2", *tiny_options,
                "--set", "label_smoothing=0.1", "--seeds", 1, "--out", out, "--print", "csv")  # fmt: skip
    assert said.code == 0, said.err
    assert said.out.splitlines()[0].startswith("variant,trained,")
    assert [line.split(",")[0] for line in said.out.splitlines()[1:]] == ["lr=0.001", "lr=0.0001"]
    assert json.loads((out / "study.json").read_text(encoding="utf-8"))["base"]["model_options"] == {
        "label_smoothing": 0.1
    }
    again = call("ablate", "--resume", out, "--print", "csv")
    assert again.out == said.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--vary", "lr"), "must be NAME=A,B"),
        (("--vary", "lr=1,2", "--lrr", "3"), "No such option: --lrr"),
        (("--vary", "lr=1,2", "--folds", "3"), "--folds is of `snellen train` alone"),
        ((), "something to vary was expected"),
        (("--vary", "lr=1,2", "--print", "word"), "--print must be"),
        (("--resume", "x"), "leave the other options out"),
    ],
)
def test_wrong_words(call, letters, words, message):
    said = call("ablate", letters / "classes", *words)
    assert said.code == 2
    assert message in said.err.replace("\n", " ")


def test_train_reads_options_from_a_file_and_what_is_typed_wins(call, letters, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(
        f"data: {letters / 'classes'}\nmodel: mobilenet_v2\nepochs: 3\nimage_size: 64\nbatch_size: 4\nworkers: 0\n"
        "device: cpu\nprecision: fp32\nlr: 0.5\nmodel_options: {label_smoothing: 0.2, dropout: 0.1}\n",
        encoding="utf-8",
    )
    out = tmp_path / "run"
    said = call("train", "--config", file, "--epochs", 1, "--set", "dropout=0.0", "--out", out, "--no-check")
    assert said.code == 0, said.err
    record = snellen.Run.open(out).record
    assert record["settings"]["epochs"] == 1
    assert record["settings"]["lr"] == 0.5
    assert record["model_options"]["label_smoothing"] == 0.2
    assert record["model_options"]["dropout"] == 0.0


def test_repairs_from_a_file(call, letters, tiny_options, tmp_path):
    index = snellen.load(letters / "classes")
    name = index.paths[int(index.split_rows("train")[0])]
    file = tmp_path / "repairs.json"
    file.write_text(json.dumps({"drop": [name]}), encoding="utf-8")
    said = call("train", letters / "classes", "-m", "mobilenet_v2", *tiny_options, "--repairs", file, "--out",
                tmp_path / "run", "--no-check")  # fmt: skip
    assert said.code == 0, said.err
    assert snellen.Run.open(tmp_path / "run").record["repairs"] == {"drop": [name]}
    file.write_text("- a", encoding="utf-8")
    said = call("train", letters / "classes", "--repairs", file)
    assert said.code == 2
    assert "expected drop, labels or objects" in said.err
