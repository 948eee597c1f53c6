"""snellen treat."""

import pytest

from snellen.recipes import TreatmentReport


def test_dry_run_prints_the_plan_and_trains_nothing(call, run_folder, tmp_path):
    said = call("treat", run_folder, "--dry-run", "--info", "--most", 2, "--seeds", 2)
    assert said.code == 0, said.err
    lines = said.out.strip().splitlines()
    assert "seeds 0, 1" in lines[-1]
    assert "trainings at most" in lines[-1]
    assert sum(" (for " in line for line in lines) == 2
    assert not run_folder.with_name("a-run-treated").exists()


def test_what_was_tried_is_printed_and_written_beside_the_run(call, run_folder):
    said = call("treat", run_folder, "--info", "--most", 1, "--seeds", 1)
    assert said.code == 0, said.err
    out = run_folder.with_name("a-run-treated")
    report = TreatmentReport.read(out)
    assert len(report.tried) == 1
    assert report.tried[0].name in said.out
    assert report.chosen == ""  # one seed proves nothing
    assert (out / "treatment.html").is_file()


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [(("nothing",), "expected the folder of a run", 4), (("--most", "0"), "--most", 2)],
)
def test_wrong_words(call, run_folder, words, message, code):
    place = [] if words == ("nothing",) else [run_folder]
    said = call("treat", *place, *words)
    assert said.code == code
    assert message in said.err
