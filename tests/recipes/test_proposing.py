"""Proposals from outside in a run: SYS-007, SYS-015."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import snellen
from snellen.data import FileProposals, ProposalStore, verify
from snellen.errors import ConfigError
from snellen.models import find_model
from snellen.recipes.proposing import check_proposals, region_source, tell_faults
from snellen.recipes.stages import read_stages


@pytest.mark.parametrize("given", ["single", "fast", "quality"])
def test_strategies_are_taken_as_they_are(given):
    assert check_proposals(given) == given
    source = region_source({"proposals": given}, Path())
    assert isinstance(source, ProposalStore)
    assert given in source.key


def test_models_that_make_their_own_have_no_source():
    assert region_source({"proposals": None}, Path()) is None


def test_a_word_that_is_neither_strategy_nor_file():
    with pytest.raises(ConfigError, match=r"single, fast, quality or a file.*quality"):
        check_proposals("qualty")


@pytest.fixture
def proposals(charts, tmp_path):
    """A file with some boxes for every image."""
    index = snellen.load(charts["boxes"])
    rows = np.array([[0, 0, 30, 30], [10, 10, 60, 60], [0, 0, 64, 64]], np.float32)
    file = tmp_path / "proposals.npz"
    np.savez(file, **{index.path(row).name: rows for row in range(len(index))})
    return file


def test_a_run_on_proposals_from_a_file(charts, tiny, tmp_path, proposals):
    options = tiny | {"model": "fast_rcnn_mobilenet_v2", "proposals": str(proposals), "epochs": 1}
    run = snellen.train(charts["boxes"], folder=tmp_path / "run", **options)
    assert isinstance(region_source(run.record, charts["boxes"]), FileProposals)
    assert "test" in run.results
    image = snellen.load(charts["boxes"]).path(0)
    found = snellen.predict(run, image)
    assert len(found.predictions) == 1


def test_models_that_propose_refuse_proposals(charts, tiny, proposals):
    with pytest.raises(ConfigError, match="makes its own proposals"):
        snellen.train(charts["boxes"], model="faster_rcnn_r18_fpn", proposals=str(proposals), **tiny)


def test_mixing_needs_a_model_that_proposes(charts, tiny):
    with pytest.raises(ConfigError, match="mosaic needs a model that makes its own proposals"):
        snellen.train(charts["boxes"], model="fast_rcnn_mobilenet_v2", mosaic=0.5, **tiny)


def _said(told) -> str:
    return told.file.getvalue()


@pytest.fixture
def told():
    return Console(file=io.StringIO(), width=200)


def test_what_is_mended_in_a_file_is_told_once(charts, tiny, tmp_path, told):
    index = snellen.load(charts["boxes"])
    rows = np.array([[0, 0, 30, 30], [-5, 0, 9000, 60], [5, 5, 5, 9]], np.float32)
    file = tmp_path / "proposals.npz"
    np.savez(file, **{index.path(row).name: rows for row in range(len(index))})
    options = tiny | {"model": "fast_rcnn_mobilenet_v2", "proposals": str(file), "epochs": 1}
    run = snellen.train(charts["boxes"], folder=tmp_path / "run", console=told, **options)
    count = len(index)
    line = f"of {3 * count:,} proposals {count:,} reach out of their image and are clipped, {count:,} are no boxes"
    assert _said(told).count(line) == 1
    other = Console(file=io.StringIO(), width=200)
    snellen.evaluate(run, charts["boxes"], console=other)
    count = len(index.split("test"))
    assert _said(other).count(f"of {3 * count:,} proposals {count:,} reach out of their image") == 1


def test_a_file_without_faults_is_not_told(charts, proposals, told):
    index = verify(snellen.load(charts["boxes"]))
    tell_faults(FileProposals(proposals), index, told)
    tell_faults(None, index, told)
    assert _said(told) == ""


@pytest.mark.parametrize("weights", [False, True])
def test_a_network_that_is_never_trained_needs_weights(charts, tiny, tmp_path, proposals, told, weights):
    options = tiny | {"model": "sppnet_mobilenet_v2", "proposals": str(proposals), "epochs": 1}
    if weights:
        torch.save(find_model("sppnet_mobilenet_v2").build(2).state_dict(), tmp_path / "net.pth")
        options["weights"] = tmp_path / "net.pth"
    run = snellen.train(charts["boxes"], folder=tmp_path / "run", console=told, **options)
    assert ("no weights were given: a part of this model is never trained" in _said(told)) is not weights
    assert ("weights" in run.record["reasons"]) is not weights
    assert ("stays random" in run.report.read_text(encoding="utf-8")) is not weights
    assert not (run.folder / "cache").exists()
    sizes = {stage.name: stage.cache_bytes for stage in read_stages(run.folder)}
    assert sizes["features"] == sizes["svm"] > 0
    facts = {stage.name: stage.facts for stage in read_stages(run.folder)}
    assert sizes["features"] >= facts["features"]["features on disk (bytes)"]
