"""A small network and a way to run one check on it; a gallery of pictures in files."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snellen
from snellen.doctor import CheckResult


class SmallNet(nn.Module):
    """A filter, a norm, a head, and what a test puts behind it."""

    def __init__(self, outputs: int = 3, behind: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(8, outputs)
        self.behind = behind

    def features(self, images: Tensor) -> Tensor:
        return self.dropout(self.norm(self.conv(images)).relu().mean((2, 3)))

    def forward(self, images: Tensor) -> Tensor:
        logits = self.head(self.features(images))
        return logits if self.behind is None else self.behind(logits)


@pytest.fixture
def small_net() -> type[SmallNet]:
    torch.manual_seed(0)
    return SmallNet


@pytest.fixture
def labelled() -> tuple[Tensor, Tensor]:
    """Eight normalised images and their labels."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 3, 12, 12, generator=generator), torch.tensor([0, 1, 2, 0, 1, 2, 2, 0])


@pytest.fixture
def checked() -> Callable[..., CheckResult]:
    """Run one check as `snellen.examine` does."""

    def run(code: str, *given: Any, **more: Any) -> CheckResult:
        (result,) = snellen.examine(*given, select=(code,), **more).results
        assert not result.trace, result.trace
        return result

    return run


@pytest.fixture
def messages() -> Callable[[CheckResult], list[str]]:
    """Say which messages a check gave, with their levels."""
    return lambda result: [f"{finding.level.name} {finding.message}" for finding in result.findings]


@pytest.fixture
def gallery(tmp_path: Path) -> Any:
    """An empty data set of pictures; see gallery.py."""
    spec = importlib.util.spec_from_file_location("gallery", Path(__file__).with_name("gallery.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Gallery(tmp_path / "pictures")
