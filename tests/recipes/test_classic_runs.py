"""Classic networks from the command's own path: trained, logged, evaluated."""

import json

import pytest

import snellen


@pytest.mark.parametrize(
    ("name", "options", "losses"),
    [
        ("lenet5", {"image_size": 32}, {"cross_entropy"}),
        ("googlenet", {}, {"cross_entropy", "auxiliary1", "auxiliary2"}),
    ],
)
def test_losses_of_training_are_logged_by_name(name, options, losses, charts, tmp_path, tiny):
    """SYS-067, SYS-072: three losses in training, one in validation."""
    run = snellen.train(charts["classes"], model=name, folder=tmp_path / "run", **{**tiny, "epochs": 1, **options})
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    (step, *_) = [line for line in lines if line["event"] == "step"]
    assert losses <= set(step["losses"])
    assert run.results["val"].scalars
