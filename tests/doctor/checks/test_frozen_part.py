"""A part is frozen that should not be (M34, DX-072)."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.doctor import Status, find_check
from snellen.doctor.evidence.network.frozen import learned_structure

CE = functional.cross_entropy


def network(*, trained: bool, frozen: int = 6, norm: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32) if norm else nn.Identity(), nn.ReLU(),
        nn.Conv2d(32, 32, 3), nn.BatchNorm2d(32) if norm else nn.Identity(), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 3),
    )  # fmt: skip
    if trained:
        learn(model)
    for part in model[:frozen]:
        part.requires_grad_(False)
    return model


def learn(model) -> None:
    """Tell the orientation of stripes, until it is known."""
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    rows = torch.arange(12.0)
    for _ in range(60):
        phase, labels = torch.rand(24, 1, 1) * 6, torch.arange(24) % 3
        waves = torch.stack([rows[:, None].expand(12, 12), rows.expand(12, 12), rows[:, None] + rows])[labels]
        images = torch.sin(waves + phase)[:, None].repeat(1, 3, 1, 1)
        optimizer.zero_grad()
        CE(model(images), labels).backward()
        optimizer.step()


def test_frozen_random_backbone(labelled, checked, messages) -> None:
    result = checked("M34", network(trained=False), labelled, CE)
    assert messages(result) == ["ERROR untrained", "INFO norms"]
    text = find_check("M34").pages["en"].message(result.findings[0])
    assert text.startswith("99 % of the model is frozen, and its weights are random numbers (")
    assert result.findings[0].measured == pytest.approx(0.95, abs=0.1)


def test_frozen_trained_backbone(labelled, checked, messages) -> None:
    """Held in evaluation mode all is well; in training mode its norms move, which is told."""
    model = network(trained=True)
    assert messages(checked("M34", model, labelled, CE)) == ["INFO norms"]
    for place in (1, 4):
        model[place].eval()
    assert checked("M34", model, labelled, CE).status == Status.PASSED


def test_first_layer_alone(labelled, checked, messages) -> None:
    model = network(trained=False, frozen=0)
    model[3].requires_grad_(False)
    model[4].eval()
    model.append(nn.ReLU())
    model.append(nn.Linear(3, 20_000))
    assert messages(checked("M34", model, labelled, CE)) == ["WARNING part_untrained", "INFO norms"]


def test_frozen_head(labelled, checked, messages) -> None:
    model = network(trained=True, frozen=0)
    model[-1].requires_grad_(False)
    assert "WARNING head" in messages(checked("M34", model, labelled, CE))


def test_without_norms(labelled, checked, messages) -> None:
    """The matrices alone tell: a strong sign, and no proof."""
    assert messages(checked("M34", network(trained=False, norm=False), labelled, CE)) == ["WARNING untrained"]
    assert checked("M34", network(trained=True, norm=False), labelled, CE).status == Status.PASSED


def test_nothing_is_frozen(labelled, checked) -> None:
    assert checked("M34", network(trained=False, frozen=0), labelled, CE).status == Status.PASSED


@pytest.mark.parametrize(
    "draw",
    [nn.init.kaiming_uniform_, nn.init.kaiming_normal_, nn.init.xavier_uniform_, nn.init.trunc_normal_,
     nn.init.orthogonal_],
)  # fmt: skip
def test_every_way_to_draw_weights_looks_random(draw) -> None:
    torch.manual_seed(0)
    weights = [nn.Parameter(draw(torch.empty(64, 96))) for _ in range(4)]
    assert learned_structure(weights) < 1.05


def test_what_was_learned_does_not() -> None:
    assert learned_structure(list(network(trained=True, frozen=0, norm=False).parameters())) > 1.1


def test_small_matrices_tell_nothing() -> None:
    assert learned_structure([nn.Parameter(torch.randn(4, 4))]) is None
