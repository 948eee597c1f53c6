"""Proposals from outside in a run: SYS-007, SYS-015."""

from pathlib import Path

import numpy as np
import pytest

import snellen
from snellen.data import FileProposals, ProposalStore
from snellen.errors import ConfigError
from snellen.recipes.proposing import check_proposals, region_source


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
