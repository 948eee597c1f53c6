"""A diagnosis as JSON: read back it is the same, and it keeps to the schema in the documentation."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from snellen.doctor import CheckResult, Diagnosis, Place, Status, Treatment, find_check, fingerprint
from snellen.errors import InputError
from snellen.report import diagnosis_from_json, diagnosis_json, json_schema


def test_read_back_it_is_the_same(diagnoses):
    whole = diagnoses.whole()
    assert diagnosis_from_json(diagnosis_json(whole)) == whole


def test_empty(diagnoses):
    assert diagnosis_from_json(diagnosis_json(Diagnosis(results=()))) == Diagnosis(results=())


def test_others_read_words_in_every_language(diagnoses):
    content = json.loads(diagnosis_json(diagnoses.whole(), data="photos", model="resnet18"))
    assert (content["version"], content["data"], content["model"]) == (1, "photos", "resnet18")
    assert [check["status"] for check in content["checks"]] == ["found", "passed", "not checkable", "crashed", "found"]
    finding = content["checks"][0]["findings"][0]
    assert finding["message"]["en"].startswith("cat has 60 examples")
    assert "个样本" in finding["message"]["zh"]
    assert finding["level"] == "warning"
    assert finding["numbers"]["ratio"] == {"float": "inf"}
    assert finding["fingerprint"] == fingerprint(diagnoses.imbalance())
    assert content["checks"][2]["reason"] == {"en": "no model", "zh": "没有模型"}
    assert "two pots" in content["checks"][3]["trace"]
    assert content["accepted"][0]["level"] == "info"


def test_accepted_checks_are_called_so(diagnoses):
    silent = Diagnosis(results=(CheckResult(check=find_check("D13"), status=Status.FOUND),))
    text = diagnosis_json(silent)
    assert json.loads(text)["checks"][0]["status"] == "accepted"
    assert diagnosis_from_json(text) == silent


def test_numbers_of_numpy_and_paths(diagnoses):
    odd = diagnoses.imbalance(
        measured=np.float32(2.5),
        treatment=Treatment(settings={"weights": Path("a.pth"), "lr": np.float32(0.5)}),
        places=(Place(kind="image", name="x", score=np.float64("nan"), boxes=((np.float32(1), 2, 3, 4),)),),
    )
    whole = Diagnosis(results=(CheckResult(check=find_check("D13"), status=Status.FOUND, findings=(odd,)),))
    finding = json.loads(diagnosis_json(whole))["checks"][0]["findings"][0]
    assert finding["measured"] == 2.5
    assert finding["treatment"]["settings"] == {"weights": "a.pth", "lr": 0.5}
    assert finding["places"][0]["score"] == {"float": "nan"}


def test_names_that_are_no_text(diagnoses):
    odd = diagnoses.imbalance(places=(Place(kind="image", name="a\udcff.jpg"),))
    whole = Diagnosis(results=(CheckResult(check=find_check("D13"), status=Status.FOUND, findings=(odd,)),))
    assert json.loads(diagnosis_json(whole).encode())["checks"][0]["findings"][0]["places"][0]["name"] == "a?.jpg"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content.update(version=2), "version 1; got 2"),
        (lambda content: content.pop("checks"), "missing required field `checks`"),
        (lambda content: content["checks"][0].update(code="Z9"), "'Z9'"),
        (lambda content: content["checks"][0].update(status="fine"), r"status"),
        (lambda content: content["checks"][0]["findings"][0]["places"][0].update(line="x"), r"places\[0\].line"),
    ],
)
def test_other_files(diagnoses, change, said):
    content = json.loads(diagnosis_json(diagnoses.whole()))
    change(content)
    with pytest.raises(InputError, match=said):
        diagnosis_from_json(json.dumps(content))
    with pytest.raises(InputError, match="expected a diagnosis"):
        diagnosis_from_json("no json")


def test_the_schema_describes_every_field(diagnoses):
    """Walked by hand: every object of the file has exactly the properties of the schema, and all that it requires."""
    schema = json_schema()

    def walk(value, part):
        part = schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        if "anyOf" in part:
            fitting = [option for option in part["anyOf"] if _fits(value, option)]
            assert fitting, (value, part)
            walk(value, fitting[0])
        elif isinstance(value, dict) and "properties" in part:
            assert set(part["required"]) <= set(value) == set(part["properties"])
            for name, item in value.items():
                walk(item, part["properties"][name])
        elif isinstance(value, list) and isinstance(part.get("items"), dict):
            for item in value:
                walk(item, part["items"])
        elif "enum" in part:
            assert value in part["enum"]

    def _fits(value, option):
        if "enum" in option:
            return value in option["enum"]
        kinds = {"null": type(None), "object": dict, "array": list, "string": str, "integer": int, "number": float}
        name = "object" if "$ref" in option else option.get("type")
        return isinstance(value, kinds[name])

    walk(json.loads(diagnosis_json(diagnoses.whole())), schema)


def test_the_documented_schema_is_that_of_the_code():
    file = Path(__file__).parents[2] / "docs" / "diagnosis.schema.json"
    assert json.loads(file.read_text(encoding="utf-8")) == json.loads(msgspec.json.encode(json_schema()))


def test_a_finding_keeps_its_fingerprint_in_other_words(diagnoses):
    finding = diagnoses.imbalance()
    assert fingerprint(finding) == fingerprint(replace(finding, measured=1.0, numbers={}, level=3))
