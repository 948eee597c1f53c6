"""M12 (users' root cause 12)."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from snellen.doctor import Evidence, Status, diagnose, find_check
from snellen.doctor.evidence.loop_parts import UserLoader
from snellen.doctor.evidence.probes.worker_randomness import worker_randomness

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forks beside torch's threads


class Noisy(Dataset[tuple[torch.Tensor, int]]):
    """Images with noise from a source of chance."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.own = np.random.default_rng(0)

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        noise = {
            "none": lambda: 0.0,
            "torch": lambda: float(torch.rand(())),
            "numpy": np.random.random,
            "python": random.random,
            "own": self.own.random,
            "coin": lambda: float(torch.rand(()) < 0.5),
        }[self.kind]()
        return torch.full((3, 4, 4), noise), index


def constant(worker: int) -> None:
    np.random.seed(0)  # noqa: NPY002


def found(kind: str, **options: object) -> tuple[Status, list[str]]:
    loader = DataLoader(Noisy(kind), **({"num_workers": 2} | options))
    (result,) = diagnose(Evidence([UserLoader(batches=loader)], [worker_randomness]), [find_check("M12")]).results
    assert not result.trace, result.trace
    return result.status, [f"{finding.level.name} {finding.message}" for finding in result.findings]


@pytest.mark.parametrize("kind", ["none", "torch", "numpy", "python", "coin"])
def test_torchs_own_seeds_differ(kind: str) -> None:
    assert found(kind) == (Status.PASSED, [])


def test_a_generator_that_is_copied_into_every_worker() -> None:
    assert found("own") == (Status.FOUND, ["ERROR workers"])


def test_a_constant_seed_in_every_worker() -> None:
    assert found("numpy", worker_init_fn=constant) == (Status.FOUND, ["ERROR workers"])


def test_one_worker_repeats_epochs_unless_it_lives_on() -> None:
    assert found("own", num_workers=1) == (Status.FOUND, ["WARNING epochs"])
    assert found("own", num_workers=1, persistent_workers=True) == (Status.PASSED, [])


def test_leaves_random_states_alone() -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    found("torch")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tobytes() == before[2]  # noqa: NPY002


class Stream(IterableDataset[int]):
    def __iter__(self):
        yield from range(4)


class Broken(Noisy):
    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        raise OSError("gone")


@pytest.mark.parametrize("loader", [
    DataLoader(Noisy("torch")), DataLoader(Stream(), num_workers=2), [1, 2], DataLoader(Broken("none"), num_workers=2),
], ids=["no workers", "stream", "list", "broken"])  # fmt: skip
def test_not_checkable(loader: object) -> None:
    (result,) = diagnose(Evidence([UserLoader(batches=loader)], [worker_randomness]), [find_check("M12")]).results
    assert result.status == Status.NOT_CHECKABLE


def test_says_how_many() -> None:
    loader = DataLoader(Noisy("own"), num_workers=2)
    (finding,) = diagnose(Evidence([UserLoader(batches=loader)], [worker_randomness]), [find_check("M12")]).findings
    assert find_check("M12").pages["en"].message(finding) == (
        "The 2 processes of the loader draw the same random numbers."
    )
