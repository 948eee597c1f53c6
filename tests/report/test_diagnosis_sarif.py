"""A diagnosis as SARIF: what the standard and GitHub require is there, and addresses lead to the files."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from snellen.doctor import Diagnosis, Level, Place
from snellen.report import diagnosis_sarif


def log_of(diagnosis, root, language="en", base=None):
    return json.loads(diagnosis_sarif(diagnosis, root=root, version="1.2.3", language=language, base=base or root))


def test_required_by_the_standard(diagnoses, tmp_path):
    """SARIF 2.1.0: sections 3.13, 3.14, 3.19, 3.27, 3.49; each required property and the words that are allowed."""
    log = log_of(diagnoses.whole(), tmp_path)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "Snellen"
    assert re.fullmatch(r"\d+\.\d+\.\d+", driver["semanticVersion"])
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids) == 5
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["help"]["markdown"].startswith("# ")
        assert rule["defaultConfiguration"]["level"] in {"none", "note", "warning", "error"}
        assert rule["name"].isalnum()
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["level"] in {"note", "warning", "error"}
        assert result["kind"] == "fail"
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert 1 <= len(result["locations"]) <= 10
        for location in result["locations"]:
            physical = location["physicalLocation"]
            assert physical["region"]["startLine"] >= 1
            assert physical["artifactLocation"]["uri"]
        assert set(result["partialFingerprints"]) == {"primaryLocationLineHash", "snellenFinding/v1"}
        assert all(isinstance(mark, str) for mark in result["partialFingerprints"].values())
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False  # a check broke
    for told in invocation["toolExecutionNotifications"]:
        assert told["message"]["text"]
        assert told["level"] in {"note", "error"}
        assert ids[told["associatedRule"]["index"]] == told["associatedRule"]["id"]


def test_levels_and_what_was_accepted(diagnoses, tmp_path):
    results = log_of(diagnoses.whole(), tmp_path)["runs"][0]["results"]
    assert [result["level"] for result in results] == ["warning", "note", "note"]
    assert "explainedBy" in results[1]["properties"]
    assert results[2]["baselineState"] == "unchanged"
    assert results[2]["suppressions"] == [{"kind": "external", "status": "accepted"}]
    assert "suppressions" not in results[0]


def test_crashed_and_not_checkable_are_told(diagnoses, tmp_path):
    run = log_of(diagnoses.whole(), tmp_path)["runs"][0]
    notes = run["invocations"][0]["toolExecutionNotifications"]
    told = [(note["associatedRule"]["id"], note["level"]) for note in notes]
    assert told == [("M5", "error"), ("M4", "note")]
    assert run["properties"]["outcomes"]["M1"] == "passed"


@pytest.mark.parametrize("name", ["a b.jpg", "猫/#1?.txt", "plus+percent%20.jpg", "bad\udcff.jpg"])
def test_addresses_lead_to_the_files(diagnoses, tmp_path, name):
    root = tmp_path / "repository" / "data set"
    found = diagnoses.only(diagnoses.made_finding(places=[Place(kind="file", name=name, line=3)]))
    location = log_of(found, root, base=tmp_path / "repository")["runs"][0]["results"][0]["locations"][0]
    uri = location["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"[\w.~%/+-]+", uri)
    assert unquote(uri, errors="surrogateescape") == f"data set/{name}"
    assert location["physicalLocation"]["region"] == {"startLine": 3}


def test_files_outside_have_absolute_addresses(diagnoses, tmp_path):
    found = diagnoses.only(diagnoses.made_finding(places=[Place(kind="image", name="a.jpg")]))
    location = log_of(found, tmp_path / "data", base=tmp_path / "elsewhere")["runs"][0]["results"][0]["locations"][0]
    uri = location["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == (tmp_path / "data" / "a.jpg").as_uri()


def test_what_is_in_no_file_is_in_the_data_set(diagnoses, tmp_path):
    found = diagnoses.only(
        diagnoses.made_finding("X1", places=[Place(kind="class", name="dog")]), diagnoses.made_finding("X2")
    )
    first, second = log_of(found, tmp_path / "data", base=tmp_path)["runs"][0]["results"]
    assert first["locations"][0]["logicalLocations"] == [{"name": "dog", "kind": "class"}]
    for result in (first, second):
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "data"


def test_two_hundred_findings_of_many_places(diagnoses, tmp_path):
    places = [Place(kind="image", name=f"{number}.jpg") for number in range(50)]
    levels = list(Level)
    found = diagnoses.only(
        *(diagnoses.made_finding(f"X{number}", levels[number % 3], places=places) for number in range(200))
    )
    results = log_of(found, tmp_path)["runs"][0]["results"]
    assert len(results) == 200
    assert all(len(result["locations"]) == 10 and result["properties"]["places"] == 50 for result in results)


def test_chinese(diagnoses, tmp_path):
    run = log_of(diagnoses.whole(), tmp_path, "zh")["runs"][0]
    assert run["language"] == "zh-CN"
    assert "个样本" in run["results"][0]["message"]["text"]


def test_nothing_found(tmp_path):
    run = log_of(Diagnosis(results=()), tmp_path)["runs"][0]
    assert (run["results"], run["invocations"][0]["executionSuccessful"]) == ([], True)
    assert Path(tmp_path).exists()
