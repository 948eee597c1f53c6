"""Every diagnosis that can be made before the first step, or from results, is made by a check, or there is a reason."""

import csv
from pathlib import Path

from snellen.doctor import CHECKS

DOCS = Path(__file__).parents[2] / "docs"


def rows_of(name):
    with (DOCS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def covered():
    return {name for check in CHECKS for name in check.covers}


def test_the_list_is_whole():
    rows = rows_of("diagnoses.tsv")
    assert [row["id"] for row in rows] == [f"DX-{number:03}" for number in range(1, len(rows) + 1)]
    assert {row["seen"] for row in rows} == {"before", "training", "results", "elsewhere"}
    assert all(row["symptom"] and row["症状"] for row in rows)


def test_checks_cite_diagnoses_that_exist():
    assert covered() <= {row["id"] for row in rows_of("diagnoses.tsv")}


def test_every_diagnosis_before_the_first_step_or_of_results_is_made_or_has_a_reason():
    reasons = {row["id"]: row for row in rows_of("uncovered.tsv")}
    assert all(row["reason"].endswith(".") and row["原因"].endswith("。") for row in reasons.values())
    told = {row["id"] for row in rows_of("diagnoses.tsv") if row["seen"] in ("before", "results")}
    assert told - covered() == set(reasons)
