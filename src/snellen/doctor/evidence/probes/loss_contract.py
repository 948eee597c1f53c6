"""Which function the loss is, found by what it returns: from any code, without reading it.

The loss is given made-up logits and compared with the losses that torch has, each alone and behind the mistakes that
people make (a softmax too many, a sign turned round).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.probes.first_step import FirstStep
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text
from snellen.structures import ClassTarget, LabelSetTarget, MaskTarget

__all__ = ["LossContract", "LossKind", "TargetForm", "loss_contract", "plain_targets", "target_form"]

LossKind = Literal[
    "cross_entropy", "softmax_cross_entropy", "sigmoid_cross_entropy", "nll", "bce_with_logits",
    "sigmoid_bce_with_logits", "bce", "mse", "softmax_mse", "sigmoid_mse", "l1", "softmax_l1", "smooth_l1", "unknown",
]  # fmt: skip
TargetForm = Literal["indices", "one_hot", "shares", "multi_hot", "real", "other"]

_SAME = 1e-4  # relative; float32 sums in another order differ by less
_SPREAD = 2.0  # of made-up logits: wide enough that all functions differ, narrow enough that none saturates
_MOST_SIZES = 4096  # of gradients that are compared with one another
_SHIFT = 3.0  # added to all logits of a row; a softmax does not see it
_PROBABILITIES = (0.05, 0.95)  # made-up probabilities, for losses that refuse others
_SUM_TOLERANCE = 1e-3  # of probabilities that should sum to 1, in float32 or half precision
_IGNORED = (-100, 255)  # labels that mean "does not count": torch's default, and Pascal VOC's

Loss = Callable[[Tensor], float]


@dataclass(frozen=True, kw_only=True)
class LossContract:
    """What loss, logits and targets are to one another.

    Attributes:
        kind: Which function of the logits it is; a name in front is what it does to them first (``softmax_mse``).
        sign: -1 if it is the negative of that function.
        reduction: ``mean`` or ``sum`` of it; ``unknown`` if the function is.
        has_softmax: Whether it is blind to what a softmax is blind to; None if not known.
        targets: Form of the targets.
        classes: Columns of the logits.
        rows_are_probabilities: Whether every row of the logits is not negative and sums to 1.
        all_in_unit: Whether every logit lies in 0..1.
        rows_are_log_probabilities: Whether that holds after ``exp``.
        chance: Loss when all logits are equal, so that nothing is known; None if not known.
        label_entropy: Of the classes in the batch, in nats; None if each sample can have several.
        accuracy: Share of samples (or pixels) whose largest logit is the right one; None likewise.
        climb: How far the gradient points towards the targets, -1 to 1; a loss that is to be minimised has it negative.
        reads_targets: Whether other targets give another loss; None if not known.
        broadcast: Shapes of logits and targets, if the loss spread the one over the other; empty otherwise.
        out_of_range: Labels that are no class and are not ignored.
    """

    kind: LossKind
    sign: int
    reduction: Literal["mean", "sum", "unknown"]
    has_softmax: bool | None
    targets: TargetForm
    classes: int
    rows_are_probabilities: bool
    rows_are_log_probabilities: bool
    all_in_unit: bool
    chance: float | None
    label_entropy: float | None
    accuracy: float | None
    climb: float | None
    reads_targets: bool | None
    broadcast: str
    out_of_range: tuple[int, ...]


def loss_contract(subject: Subject, first: FirstStep) -> LossContract:
    """Find it out.

    Raises:
        NotCheckable: If the output has no logits, or the targets are of no known form.
    """
    logits, targets = first.logits, plain_targets(subject)
    if logits is None or targets is None or logits.ndim < 2:
        raise NotCheckable(
            Text(en="the output has no single tensor of logits", zh="输出不是单一的 logits 张量")
            if logits is None or logits.ndim < 2
            else Text(en="the targets of the batch are not a tensor", zh="批次的目标不是张量")
        )
    with subject.probed(training=True), torch.no_grad():
        logits = logits.float()
        loss = _loss_of_logits(subject) if subject.loss_takes_logits and subject.loss_error is None else None
        kind, sign, reduction = _identified(loss, first, logits, targets)
        rows = logits.movedim(1, -1)
        return LossContract(
            kind=kind,
            sign=sign,
            reduction=reduction,
            has_softmax=_has_softmax(subject, loss, logits),
            targets=target_form(targets, logits),
            classes=logits.shape[1],
            rows_are_probabilities=logits.shape[1] > 1
            and bool((rows >= 0).all())
            and bool(((rows.sum(-1) - 1).abs() < _SUM_TOLERANCE).all()),
            rows_are_log_probabilities=logits.shape[1] > 1 and bool((logits.logsumexp(1).abs() < _SUM_TOLERANCE).all()),
            all_in_unit=bool(((logits >= 0) & (logits <= 1)).all()),
            chance=_chance(loss, kind, reduction, logits, targets),
            label_entropy=_label_entropy(targets, logits),
            accuracy=_accuracy(targets, logits),
            climb=_climb(first.logits_gradient, logits, targets),
            reads_targets=_reads_targets(subject, logits, targets),
            broadcast=_broadcast(loss, logits, targets),
            out_of_range=_out_of_range(subject, logits, targets),
        )


def plain_targets(subject: Subject) -> Tensor | None:
    """Return targets that are one tensor, also those of Snellen's records; None if they are something else."""
    targets = subject.targets(subject.batch)
    if isinstance(targets, ClassTarget):
        return targets.probs
    if isinstance(targets, LabelSetTarget):
        return targets.shown
    if isinstance(targets, MaskTarget):
        return targets.labels.long()
    return targets if isinstance(targets, Tensor) else None


def target_form(targets: Tensor, logits: Tensor) -> TargetForm:
    """Return how targets name the classes of these logits."""
    if (
        targets.ndim == logits.ndim - 1
        and not targets.is_floating_point()
        and targets.shape == _without_classes(logits)
    ):
        return "indices"
    values = targets.double()
    if targets.shape != logits.shape or logits.shape[1] == 1:
        return "real" if targets.is_floating_point() and not _are_binary(values) else "other"
    if not bool(((values >= 0) & (values <= 1)).all()):
        return "real"
    if bool(((values.sum(1) - 1).abs() < _SUM_TOLERANCE).all()):
        return "one_hot" if _are_binary(values) else "shares"
    return "multi_hot" if _are_binary(values) else "shares"


def _are_binary(values: Tensor) -> bool:
    return bool(((values == 0) | (values == 1)).all())


def _without_classes(logits: Tensor) -> torch.Size:
    return torch.Size((logits.shape[0], *logits.shape[2:]))


def _loss_of_logits(subject: Subject) -> Loss:
    """Return the user's loss as a function of made-up logits and the targets of the batch."""

    def loss(logits: Tensor) -> float:
        return float(subject.loss(logits, subject.batch))

    return loss


def _identified(
    loss: Loss | None, first: FirstStep, logits: Tensor, targets: Tensor
) -> tuple[LossKind, int, Literal["mean", "sum", "unknown"]]:
    """Return which known function gives the same values as the loss."""
    samples = [(logits, first.loss)] if first.loss is not None else []
    if loss is not None:
        samples += _made_up(loss, logits)
    if not samples:
        return "unknown", 1, "unknown"
    for kind, reduction, known in _known(targets, logits):
        for sign in (1, -1):
            if all(_agrees(known, given, value, sign) for given, value in samples):
                return kind, sign, reduction
    return "unknown", 1, "unknown"


def _made_up(loss: Loss, logits: Tensor) -> list[tuple[Tensor, float]]:
    """Return two sets of made-up logits with their losses; probabilities where the loss refuses anything else."""
    found = []
    for _ in range(2):
        draw = torch.randn_like(logits) * _SPREAD
        low, high = _PROBABILITIES
        for given in (draw, low + (high - low) * torch.rand_like(logits)):
            try:
                found.append((given, loss(given)))
            except (RuntimeError, ValueError):
                continue
            break
    return found


def _agrees(known: Callable[[Tensor], Tensor], given: Tensor, value: float, sign: int) -> bool:
    try:
        expected = sign * float(known(given))
    except (RuntimeError, ValueError, IndexError):
        return False
    return abs(expected - value) <= _SAME * max(abs(value), abs(expected), 1e-6)


Reduction = Literal["mean", "sum"]


def _known(targets: Tensor, logits: Tensor) -> Iterator[tuple[LossKind, Reduction, Callable[[Tensor], Tensor]]]:
    """Yield the functions that a loss may be, the usual ones first."""
    form = target_form(targets, logits)
    reductions: tuple[Reduction, ...] = ("mean", "sum")
    for reduction in reductions:
        if form == "indices":
            for ignored in _IGNORED:
                yield from _of_indices(targets.long(), reduction, ignored)
        like = _like_logits(targets, logits, form)
        if like is not None:
            yield from _of_values(like, reduction, with_classes=logits.shape[1] > 1)


def _of_indices(
    targets: Tensor, reduction: Reduction, ignored: int
) -> Iterator[tuple[LossKind, Reduction, Callable[[Tensor], Tensor]]]:
    def cross_entropy(given: Tensor) -> Tensor:
        return functional.cross_entropy(given, targets, reduction=reduction, ignore_index=ignored)

    def nll(given: Tensor) -> Tensor:
        return functional.nll_loss(given, targets, reduction=reduction, ignore_index=ignored)

    yield "cross_entropy", reduction, cross_entropy
    yield "nll", reduction, nll
    yield "softmax_cross_entropy", reduction, lambda given: cross_entropy(given.softmax(1))
    yield "sigmoid_cross_entropy", reduction, lambda given: cross_entropy(given.sigmoid())


def _of_values(
    targets: Tensor, reduction: Reduction, *, with_classes: bool
) -> Iterator[tuple[LossKind, Reduction, Callable[[Tensor], Tensor]]]:
    def of(function: Callable[..., Tensor], change: Callable[[Tensor], Tensor] = lambda given: given) -> Any:
        return lambda given: function(change(given), targets, reduction=reduction)

    softmax = _softmax if with_classes else torch.sigmoid
    if with_classes:
        yield "cross_entropy", reduction, of(functional.cross_entropy)
        yield "softmax_cross_entropy", reduction, of(functional.cross_entropy, softmax)
    yield "bce_with_logits", reduction, of(functional.binary_cross_entropy_with_logits)
    yield "bce", reduction, of(functional.binary_cross_entropy)
    yield "sigmoid_bce_with_logits", reduction, of(functional.binary_cross_entropy_with_logits, torch.sigmoid)
    yield "mse", reduction, of(functional.mse_loss)
    yield "softmax_mse", reduction, of(functional.mse_loss, softmax)
    yield "sigmoid_mse", reduction, of(functional.mse_loss, torch.sigmoid)
    yield "l1", reduction, of(functional.l1_loss)
    yield "softmax_l1", reduction, of(functional.l1_loss, softmax)
    yield "smooth_l1", reduction, of(functional.smooth_l1_loss)


def _softmax(given: Tensor) -> Tensor:
    return given.softmax(1)


def _like_logits(targets: Tensor, logits: Tensor, form: TargetForm) -> Tensor | None:
    """Return targets as numbers in the shape of the logits, or None if they have no such form."""
    if form == "indices":
        return _one_hot(targets.long(), logits)
    if targets.shape == logits.shape:
        return targets.float()
    return targets.float().reshape(logits.shape) if targets.numel() == logits.numel() else None


def _one_hot(targets: Tensor, logits: Tensor) -> Tensor:
    """Return 1 at the class; rows whose label is no class are all zero."""
    classes = torch.arange(logits.shape[1], device=targets.device).view(1, -1, *[1] * (logits.ndim - 2))
    return (targets.unsqueeze(1) == classes).float()


def _has_softmax(subject: Subject, loss: Loss | None, logits: Tensor) -> bool | None:
    """Return whether adding a constant to a row changes nothing, and every logit counts a little differently.

    Losses of margins are blind to such constants, too, but their gradient has a few steps only.
    """
    if loss is None or logits.shape[1] < 2:
        return None
    given = torch.randn_like(logits) * _SPREAD
    try:
        before, after = loss(given), loss(given + _SHIFT * torch.randn_like(given[:, :1]))
    except (RuntimeError, ValueError):
        return False
    return abs(before - after) <= _SAME * max(abs(before), 1e-6) and _has_smooth_gradient(subject, given)


def _has_smooth_gradient(subject: Subject, given: Tensor) -> bool:
    with torch.enable_grad():
        logits = given.clone().requires_grad_()
        value = subject.loss(logits, subject.batch)
        if not value.requires_grad:
            return False
        found: tuple[Tensor | None, ...] = torch.autograd.grad(value, logits, allow_unused=True)
    if found[0] is None:
        return False
    sizes = found[0][found[0] != 0].abs()[:_MOST_SIZES]
    return len(torch.unique(sizes)) > len(sizes) / 2


def _chance(loss: Loss | None, kind: LossKind, reduction: str, logits: Tensor, targets: Tensor) -> float | None:
    """Return the loss of logits that are all equal."""
    level = 0.5 if kind == "bce" else -log(logits.shape[1]) if kind == "nll" else 0.0
    given = torch.full_like(logits, level)
    if loss is not None:
        try:
            return loss(given)
        except (RuntimeError, ValueError):
            return None
    for name, how, known in _known(targets, logits):
        if name == kind and how == reduction:
            try:
                return float(known(given))
            except IndexError:  # a label that another reading of the targets leaves out
                continue
    return None


def _classes_of(targets: Tensor, logits: Tensor) -> Tensor | None:
    """Return the class of every sample or pixel, those that do not count left out; None if there can be several."""
    form = target_form(targets, logits)
    if form == "one_hot":
        return targets.argmax(1).flatten()
    if form != "indices":
        return None
    labels = targets.flatten().long()
    return labels[(labels >= 0) & (labels < logits.shape[1])]


def _label_entropy(targets: Tensor, logits: Tensor) -> float | None:
    labels = _classes_of(targets, logits)
    if labels is None or not len(labels):
        return None
    shares = labels.bincount().double() / len(labels)
    return float(-(shares[shares > 0] * shares[shares > 0].log()).sum())


def _accuracy(targets: Tensor, logits: Tensor) -> float | None:
    labels = _classes_of(targets, logits)
    if labels is None or not len(labels):
        return None
    guesses = logits.argmax(1).flatten()
    if len(guesses) != len(labels):
        every = targets.flatten().long()
        guesses = guesses[(every >= 0) & (every < logits.shape[1])]
    return float((guesses == labels).double().mean())


def _climb(gradient: Tensor | None, logits: Tensor, targets: Tensor) -> float | None:
    """Return the cosine between the gradient of the loss and the direction from the logits to the targets."""
    like = _like_logits(targets, logits, target_form(targets, logits))
    if gradient is None or like is None:
        return None
    direction = like - like.mean(1, keepdim=True) if logits.shape[1] > 1 else like * 2 - 1
    if target_form(targets, logits) == "real":
        direction = like - logits
    if not bool(direction.any()) or not bool(gradient.any()):
        return None
    return float(functional.cosine_similarity(gradient.float().flatten(), direction.flatten(), dim=0))


def _reads_targets(subject: Subject, logits: Tensor, targets: Tensor) -> bool | None:
    """Return whether the targets of other samples give another loss."""
    if (
        not subject.loss_takes_logits
        or subject.loss_error is not None
        or not isinstance(subject.targets(subject.batch), Tensor)
    ):
        return None
    rolled = targets.roll(1, 0)
    if torch.equal(rolled, targets):
        return None
    given = torch.randn_like(logits).abs().clamp(*_PROBABILITIES)
    other = subject.lens.with_targets(subject.batch, rolled)
    return float(subject.loss(given, subject.batch)) != float(subject.loss(given, other))


def _broadcast(loss: Loss | None, logits: Tensor, targets: Tensor) -> str:
    """Return both shapes, if they differ and the loss compared every logit with every target."""
    if loss is None or targets.numel() != logits.numel() or targets.shape == logits.shape or len(logits) < 2:
        return ""
    low, high = _PROBABILITIES
    given = low + (high - low) * torch.rand_like(logits)
    order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(1)).roll(1)
    if torch.equal(given[order], given) or bool((targets == targets.flatten()[0]).all()):
        return ""
    moved = abs(loss(given) - loss(given[order]))  # a loss of pairs changes when the pairs do
    spread = moved <= _SAME * max(abs(loss(given)), 1e-6)
    return f"{list(logits.shape)}, {list(targets.shape)}" if spread else ""


def _out_of_range(subject: Subject, logits: Tensor, targets: Tensor) -> tuple[int, ...]:
    """Return labels for which the logits have no column."""
    if target_form(targets, logits) != "indices" or logits.shape[1] < 2:
        return ()
    ignored = {*_IGNORED, getattr(subject.criterion, "ignore_index", -100)}
    labels = set(torch.unique(targets).tolist())
    return tuple(sorted(label for label in labels - ignored if label < 0 or label >= logits.shape[1]))
