"""The demonstration, without its training: what it begins and what it goes on with."""

import shutil
from importlib import import_module
from types import SimpleNamespace

import pytest

from snellen.recipes.runs import Run

module = import_module("snellen.recipes.demo")  # the package has the verb by this name


@pytest.fixture
def called(monkeypatch, tmp_path):
    """Note what would be trained; every training is broken off."""
    calls = []

    def note(verb):
        def run(*words, **options):
            calls.append((verb, words, options))
            return SimpleNamespace(report=tmp_path / "none.html")

        return run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "train", note("train"))
    monkeypatch.setattr(module, "resume", note("resume"))
    return calls


def test_a_demonstration_that_was_broken_off_goes_on(called, run_at):
    """DX: the same command after Ctrl-C does not begin anew, and one that is done is left alone."""
    folder = run_at().folder
    Run.open(folder).report.unlink(missing_ok=True)
    module.demo("charts", folder=folder)
    assert [call[0] for call in called] == ["resume"]
    assert called[0][1] == (folder,)
    Run.open(folder).report.write_text("done", encoding="utf-8")
    module.demo("charts", folder=folder)
    assert called[1][0] == "train"


def test_without_a_run_it_begins_in_a_new_folder(called):
    module.demo("charts")
    (verb, _, options) = called[0]
    assert verb == "train"
    assert options["folder"].name == "demo-charts"


def test_the_last_of_its_folders_goes_on_and_no_other_demonstration(called, run_at, tmp_path):
    done = run_at().folder
    (tmp_path / "runs").mkdir()
    for name in ("demo-charts", "demo-charts-2", "demo-charts-10", "demo-charts-classification"):
        shutil.copytree(done, tmp_path / "runs" / name)
    (tmp_path / "runs" / "demo-charts-10" / "report.html").unlink()
    (tmp_path / "runs" / "demo-charts-classification" / "report.html").unlink()
    module.demo("charts")
    assert called[-1][0] == "resume"
    assert called[-1][1][0].name == "demo-charts-10"
    (tmp_path / "runs" / "demo-charts-10" / "report.html").write_text("done", encoding="utf-8")
    module.demo("charts")
    assert called[-1][0] == "train"
