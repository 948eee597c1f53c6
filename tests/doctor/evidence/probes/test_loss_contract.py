"""A loss is recognised by what it returns: torch's own losses, behind a lambda that hides them."""

import pytest
import torch
from torch.nn import functional

from snellen.doctor.evidence.probes.first_step import first_step
from snellen.doctor.evidence.probes.loss_contract import loss_contract
from snellen.doctor.examining import subject_of

MANY = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]] * 2)
ONE_HOT = torch.eye(3)


def contract_of(net, batch, loss):
    subject = subject_of(net, batch, loss)
    return loss_contract(subject, first_step(subject))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("kind", "behind", "loss"),
    [
        ("cross_entropy", None, functional.cross_entropy),
        ("nll", lambda z: z.log_softmax(1), functional.nll_loss),
        ("softmax_cross_entropy", None, lambda z, y, **how: functional.cross_entropy(z.softmax(1), y, **how)),
        ("sigmoid_cross_entropy", None, lambda z, y, **how: functional.cross_entropy(z.sigmoid(), y, **how)),
        ("mse", None, lambda z, y, **how: functional.mse_loss(z, ONE_HOT[y], **how)),
        ("softmax_mse", None, lambda z, y, **how: functional.mse_loss(z.softmax(1), ONE_HOT[y], **how)),
        ("sigmoid_mse", None, lambda z, y, **how: functional.mse_loss(z.sigmoid(), ONE_HOT[y], **how)),
        ("l1", None, lambda z, y, **how: functional.l1_loss(z, ONE_HOT[y], **how)),
        ("softmax_l1", None, lambda z, y, **how: functional.l1_loss(z.softmax(1), ONE_HOT[y], **how)),
        ("smooth_l1", None, lambda z, y, **how: functional.smooth_l1_loss(z, ONE_HOT[y], **how)),
        (
            "bce_with_logits",
            None,
            lambda z, y, **how: functional.binary_cross_entropy_with_logits(z, ONE_HOT[y], **how),
        ),
    ],
)
def test_of_indices(small_net, labelled, kind, behind, loss, sign, reduction) -> None:
    found = contract_of(small_net(behind=behind), labelled, lambda z, y: sign * loss(z, y, reduction=reduction))
    assert (found.kind, found.sign, found.reduction, found.targets) == (kind, sign, reduction, "indices")
    assert found.climb * sign < 0


@pytest.mark.parametrize(
    ("kind", "behind", "loss"),
    [
        ("bce_with_logits", None, functional.binary_cross_entropy_with_logits),
        ("bce", torch.sigmoid, functional.binary_cross_entropy),
        (
            "sigmoid_bce_with_logits",
            None,
            lambda z, y: functional.binary_cross_entropy_with_logits(z.sigmoid(), y),
        ),
        ("cross_entropy", None, functional.cross_entropy),
    ],
)
def test_of_many_labels(small_net, labelled, kind, behind, loss) -> None:
    found = contract_of(small_net(behind=behind), (labelled[0], MANY), loss)
    assert (found.kind, found.targets, found.has_softmax) == (kind, "multi_hot", kind == "cross_entropy")


@pytest.mark.parametrize(
    ("loss", "has_softmax"),
    [
        (lambda z, y: functional.cross_entropy(z, y, label_smoothing=0.1), True),
        (lambda z, y: functional.cross_entropy(z, y, weight=torch.tensor([1.0, 2.0, 9.0])), True),
        (functional.multi_margin_loss, False),  # it reads differences only, too
        (lambda z, y: (z[range(len(y)), y] - 1).abs().mean(), False),
    ],
)
def test_unknown_losses(small_net, labelled, loss, has_softmax) -> None:
    found = contract_of(small_net(), labelled, loss)
    assert (found.kind, found.has_softmax, found.reads_targets) == ("unknown", has_softmax, True)


def test_chance_is_the_loss_of_equal_logits(small_net, labelled) -> None:
    found = contract_of(small_net(), labelled, functional.cross_entropy)
    assert found.chance == pytest.approx(torch.tensor(3.0).log().item())
    assert found.label_entropy == pytest.approx(1.0822, abs=1e-4)  # of 3, 2 and 3 in 8, in nats


def test_pixels(labelled) -> None:
    masks = torch.randint(3, (8, 12, 12), generator=torch.Generator().manual_seed(0))
    masks[0, :6] = 255
    loss = lambda z, y: functional.cross_entropy(z, y, ignore_index=255)  # noqa: E731
    found = contract_of(torch.nn.Conv2d(3, 3, 3, padding=1), (labelled[0], masks), loss)
    assert (found.kind, found.targets, found.out_of_range) == ("cross_entropy", "indices", ())


class Parts(torch.nn.Module):
    """A segmenter whose output has several parts, as torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return {"out": self.head(x)}


def test_pixels_that_do_not_count_behind_an_output_of_several_parts() -> None:
    torch.manual_seed(0)
    targets = torch.randint(0, 4, (2, 8, 8))
    targets[:, :2] = 255
    found = contract_of(
        Parts(),
        (torch.randn(2, 3, 8, 8), targets),
        lambda out, y: functional.cross_entropy(out["out"], y, ignore_index=255),
    )
    assert found.kind == "cross_entropy"
    assert found.chance == pytest.approx(1.3863, abs=1e-3)  # ln 4
