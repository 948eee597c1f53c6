"""Two processes with half a batch each do what one process does with the whole batch."""

import sys

import pytest
import torch
from torch import distributed

from snellen.training import Ranks, current_ranks, process_group

PROGRAM = """
import sys, pathlib, torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
import tiny_training as tiny
from snellen.training import CheckpointStore, current_ranks, fit, process_group

class Half(tiny.TinySource):
    def epoch(self, epoch, *, first_batch=0):
        for batch in super().epoch(epoch, first_batch=first_batch):
            yield batch.map(lambda tensor: tensor[ranks.rank :: ranks.world])

class Odd(tiny.TinyModel):
    # one rank alone meets a nan: both must skip that step
    def __init__(self, name, **options):
        super().__init__(**options)
        self.name, self.steps = name, 0

    def loss(self, output, targets):
        losses = super().loss(output, targets)
        self.steps += self.training
        if self.steps == 3 and ranks.rank == 1 and self.name == "nan":
            losses["odd"] = output.detach().sum() * float("nan")
        else:
            losses["odd"] = output.detach().sum() * 0
        return losses

def learn(name, images=24):
    torch.manual_seed(0)
    model = Odd(name, dropout=0.0, norm=False)
    store = CheckpointStore(folder / name)
    fit(model, Half(images=images), tiny.settings(epochs=2), store=store, validation=Half(images=4))
    torch.save(model.state_dict(), folder / f"{name}-{ranks.rank}.pt")

folder = pathlib.Path(sys.argv[2])
with process_group("cpu") as ranks:
    learn("well")
    learn("nan")
    learn("single", images=22)  # of a last batch of 2 each process has one
if ranks.is_first:
    ranks = current_ranks()
    learn("alone")
    learn("single-alone", images=22)
"""


@pytest.fixture(scope="module")
def trained(script, together, tmp_path_factory):
    """The folder in which two processes trained together, and the first of them once more alone."""
    folder = tmp_path_factory.mktemp("distributed")
    together(PROGRAM, script.parent, folder)
    return folder


def weights(folder, name):
    return torch.load(folder / f"{name}.pt", weights_only=True)


pytestmark = [
    pytest.mark.skipif(not distributed.is_available(), reason="torch was built without torch.distributed"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names Linux's loopback interface"),
]


def test_two_halves_are_a_whole(trained):
    """SYS-313, SYS-316."""
    alone, first, second = (weights(trained, name) for name in ("alone-0", "well-0", "well-1"))
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-6)
        assert torch.equal(first[name], second[name])


def test_one_image_for_each_process_trains(trained):
    """ERR-125: the batch of a process may be one image; what comes of it is what one process with both does."""
    alone, first, second = (weights(trained, name) for name in ("single-alone-0", "single-0", "single-1"))
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-6)
        assert torch.equal(first[name], second[name])
    assert not torch.equal(alone["head.weight"], weights(trained, "alone-0")["head.weight"])


def test_only_the_first_writes(trained):
    names = sorted(path.name for path in (trained / "well").iterdir())
    assert names == ["best.pt", "last.previous.pt", "last.pt"]
    settings = torch.load(trained / "well" / "last.pt", weights_only=True)["settings"]
    assert settings["processes"] == 2


def test_a_nan_on_one_rank_is_skipped_by_all(trained):
    first, second, well = (weights(trained, name) for name in ("nan-0", "nan-1", "well-0"))
    for name, value in first.items():
        assert torch.equal(value, second[name])
        assert torch.isfinite(value).all()
    assert not torch.equal(first["head.weight"], well["head.weight"])


def test_alone_nothing_is_joined(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group("cpu") as ranks:
        assert ranks == Ranks() == current_ranks()
        assert ranks.is_first
        assert not distributed.is_initialized()
