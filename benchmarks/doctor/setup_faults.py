"""The faults of set-ups: each changes a healthy training before its first step, at one of three severities.

Ported from DeepCrime's operators (HBS, HLR, ACH, ARM, AAL, WCI, RAW, BAD, BRM, LCH, OCH, RCD), from TheDeepChecker's
faults, and from the contracts that users break. ``codes`` are the checks that may be called the right cause.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from setups import SetUp
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["HARMLESS", "SETUP_FAULTS", "SetUpFault"]

ALL = ("small classifier", "ResNet-18", "segmenter")
CLASSIFIERS = ALL[:2]
SMALL = ("small classifier",)


@dataclass(frozen=True, kw_only=True)
class SetUpFault:
    """One way to break a training.

    Attributes:
        name: Of the fault.
        origin: DeepCrime's operator, the number of the root cause in users' reports, a diagnosis, or ``own``.
        bases: Names of the set-ups that it can break.
        codes: Checks of which any is the right cause; none for changes that must not alarm.
        change: ``(set-up, severity 0..2)``; returns the broken one.
    """

    name: str
    origin: str
    bases: tuple[str, ...]
    codes: tuple[str, ...]
    change: Callable[[SetUp, int], SetUp]


class Then(nn.Module):
    """A network and a function after it."""

    def __init__(self, net: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net = net
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.net(x))


class Before(nn.Module):
    """A function, and a network after it."""

    def __init__(self, net: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net = net
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self.function(x))


def head(model: nn.Module) -> tuple[nn.Module, str]:
    """Return the owner of the last layer with weights, and its name there."""
    name = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]
    owner, _, child = name.rpartition(".")
    return model.get_submodule(owner), child


def replaced(model: nn.Module, old: type[nn.Module], new: Callable[[], nn.Module], share: float = 1.0) -> None:
    names = [name for name, layer in model.named_modules() if type(layer) is old]
    for name in names[: max(1, round(share * len(names)))]:
        owner, _, child = name.rpartition(".")
        setattr(model.get_submodule(owner), child, new())


def relearned(setup: SetUp, model: nn.Module) -> SetUp:
    """Give the optimizer the parameters of a changed model."""
    setup.model = model
    kind, defaults = type(setup.optimizer), setup.optimizer.defaults
    known = {name: defaults[name] for name in ("lr", "weight_decay", "momentum", "betas") if name in defaults}
    setup.optimizer = kind(model.parameters(), **known)
    return setup


def rate(setup: SetUp, severity: int) -> SetUp:
    for group in setup.optimizer.param_groups:
        group["lr"] *= (1e2, 1e3, 1e4)[severity]
    return setup


def tiny_rate(setup: SetUp, severity: int) -> SetUp:
    for group in setup.optimizer.param_groups:
        group["lr"] *= (1e-4, 1e-6, 1e-8)[severity]
    return setup


def one_image(setup: SetUp, severity: int) -> SetUp:
    count = (4, 2, 2)[severity]
    setup.batch = tuple(part[:count] for part in setup.batch)
    return setup


def softmax_first(setup: SetUp, severity: int) -> SetUp:
    del severity
    return relearned(setup, Then(setup.model, lambda x: x.softmax(1)))


def sigmoid_first(setup: SetUp, severity: int) -> SetUp:
    del severity
    return relearned(setup, Then(setup.model, torch.sigmoid))


def relu_on_head(setup: SetUp, severity: int) -> SetUp:
    del severity
    return relearned(setup, Then(setup.model, functional.relu))


def linear_only(setup: SetUp, severity: int) -> SetUp:
    replaced(setup.model, nn.ReLU, nn.Identity)
    if severity == 0:
        replaced(setup.model, nn.MaxPool2d, lambda: nn.AvgPool2d(2))
    replaced(setup.model, nn.MaxPool2d, lambda: nn.AvgPool2d(2))
    return relearned(setup, setup.model)


def squashed(setup: SetUp, severity: int) -> SetUp:
    """A deep network of sigmoids."""
    depth = (6, 10, 16)[severity]
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(3 * 32 * 32, 64), nn.Sigmoid()]
    for _ in range(depth):
        layers += [nn.Linear(64, 64), nn.Sigmoid()]
    return relearned(setup, nn.Sequential(*layers, nn.Linear(64, 10)))


def zeros(setup: SetUp, severity: int) -> SetUp:
    """Weights of one layer, half of them, or all, are a constant."""
    layers = [layer for layer in setup.model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    chosen = (layers[-2:-1], layers[: len(layers) // 2 + 1], layers)[severity]
    for layer in chosen:
        nn.init.constant_(layer.weight, (0.01, 0.0, 0.0)[severity])
    return setup


def wide(setup: SetUp, severity: int) -> SetUp:
    for layer in setup.model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, std=(1.0, 3.0, 10.0)[severity])
    return setup


def decayed(setup: SetUp, severity: int) -> SetUp:
    for group in setup.optimizer.param_groups:
        group["weight_decay"] = (0.3, 1.0, 10.0)[severity]
    return setup


def squared(setup: SetUp, severity: int) -> SetUp:
    classes = setup.options["num_classes"]
    hot: Callable[[Tensor, Tensor], Tensor] = lambda x, y: functional.one_hot(y, classes).to(x)  # noqa: E731
    losses: tuple[Callable[..., Tensor], ...] = (
        lambda x, y: functional.mse_loss(x, hot(x, y)),
        lambda x, y: functional.l1_loss(x, hot(x, y)),
        lambda x, y: functional.mse_loss(x.softmax(1), hot(x, y)),
    )
    setup.loss = losses[severity]
    return setup


def many_for_one(setup: SetUp, severity: int) -> SetUp:
    """Probabilities that went through a sigmoid twice before a binary loss."""
    classes = setup.options["num_classes"]
    del severity
    setup.loss = lambda x, y: functional.binary_cross_entropy_with_logits(
        torch.sigmoid(x), functional.one_hot(y, classes).to(x)
    )
    return setup


def summed(setup: SetUp, severity: int) -> SetUp:
    del severity
    before = setup.loss
    setup.loss = lambda x, y: before(x, y) * len(x)  # type: ignore[misc]
    return setup


def negated(setup: SetUp, severity: int) -> SetUp:
    before = setup.loss
    factor = (-1.0, -0.1, -10.0)[severity]
    setup.loss = lambda x, y: factor * before(x, y)  # type: ignore[misc]
    return setup


def plain_slow(setup: SetUp, severity: int) -> SetUp:
    parameters = list(setup.model.parameters())
    setup.optimizer = (
        torch.optim.SGD(parameters, lr=1e-6),
        torch.optim.Adadelta(parameters, lr=1e-6),
        torch.optim.SGD(parameters, lr=1e-8),
    )[severity]
    return setup


def frozen(setup: SetUp, severity: int) -> SetUp:
    every = list(setup.model.parameters())
    for parameter in every[: round(len(every) * (0.6, 0.8, 1.0)[severity]) - (severity == 2) * 2]:
        parameter.requires_grad_(requires_grad=False)
    return setup


def left_out(setup: SetUp, severity: int) -> SetUp:
    every = list(setup.model.parameters())
    kept = every[: max(1, round(len(every) * (0.9, 0.5, 0.1)[severity]))]
    setup.optimizer = torch.optim.SGD(kept, lr=0.05, momentum=0.9)
    return setup


def of_another(setup: SetUp, severity: int) -> SetUp:
    """The optimizer has the parameters of a copy."""
    del severity
    setup.optimizer = torch.optim.SGD(copy.deepcopy(setup.model).parameters(), lr=0.05, momentum=0.9)
    return setup


class Detached(nn.Module):
    """A network whose graph is cut after some of its children."""

    def __init__(self, net: nn.Module, place: int) -> None:
        super().__init__()
        self.net = net
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.net.children()):
            x = layer(x)
            if number == self.place:
                x = x.detach()
        return x


def cut_graph(setup: SetUp, severity: int) -> SetUp:
    count = len(list(setup.model.children()))
    return relearned(setup, Detached(setup.model, (2, count // 2, count - 2)[severity]))


def in_eval(setup: SetUp, severity: int) -> SetUp:
    """The loop calls ``eval()`` where it should not: on the model, or on its norms."""

    def step(batch: tuple[Tensor, Tensor]) -> None:
        setup.model.train(severity == 1)
        if severity == 1:
            for child in setup.model.children():
                child.eval()
        learn(setup, batch)

    setup.options = {**setup.options, "step": step}
    return setup


def validated_in_training(setup: SetUp, severity: int) -> SetUp:
    def validate(batch: tuple[Tensor, Tensor]) -> None:
        setup.model.eval()
        layers = [layer for layer in setup.model.modules() if isinstance(layer, nn.BatchNorm2d)]
        if severity == 2:
            setup.model.train()
        for layer in layers[: (1, len(layers) // 2, 0)[severity]]:
            layer.train()
        with torch.no_grad():
            setup.model(batch[0])

    setup.options = {**setup.options, "validate": validate}
    return setup


def carried_over(setup: SetUp, severity: int) -> SetUp:
    """Gradients are not cleared, at severity 1 of half of the parameters only."""

    def step(batch: tuple[Tensor, Tensor]) -> None:
        setup.model.train()
        if severity == 1:
            for parameter in list(setup.model.parameters())[::2]:
                parameter.grad = None
        setup.loss(setup.model(batch[0]), batch[1]).backward()  # type: ignore[misc]
        setup.optimizer.step()

    setup.options = {**setup.options, "step": step}
    return setup


def learn(setup: SetUp, batch: tuple[Tensor, Tensor]) -> None:
    setup.optimizer.zero_grad()
    setup.loss(setup.model(batch[0]), batch[1]).backward()  # type: ignore[misc]
    setup.optimizer.step()


def whole_loop(setup: SetUp, severity: int) -> SetUp:
    """Nothing is wrong: the loop as it should be."""
    del severity

    def step(batch: tuple[Tensor, Tensor]) -> None:
        setup.model.train()
        learn(setup, batch)

    def validate(batch: tuple[Tensor, Tensor]) -> None:
        setup.model.eval()
        with torch.no_grad():
            setup.model(batch[0])

    setup.options = {**setup.options, "step": step, "validate": validate}
    return setup


def mixed_rows(setup: SetUp, severity: int) -> SetUp:
    """Samples leak into one another by a statistic or a reshape over the batch."""
    changes: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: x - x.mean(0, keepdim=True),
        lambda x: x.softmax(0),
        lambda x: x.transpose(0, 1).reshape(x.shape),
    )
    return relearned(setup, Then(setup.model, changes[severity]))


def blind(setup: SetUp, severity: int) -> SetUp:
    changes: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: x * 0,
        lambda x: torch.zeros_like(x) + x.mean() * 0,
        lambda x: (x * 1e-8).round(),
    )
    return relearned(setup, Before(setup.model, changes[severity]))


def unscaled(setup: SetUp, severity: int) -> SetUp:
    images, targets = setup.batch
    raw = images * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) + torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    setup.batch = (raw * (255.0, 65535.0, 255.0)[severity] - (0.0, 0.0, 128.0)[severity], targets)
    return setup


def too_few_outputs(setup: SetUp, severity: int) -> SetUp:
    owner, name = head(setup.model)
    old = getattr(owner, name)
    classes = max(1, setup.options["num_classes"] - (1, 3, 6)[severity])
    new = (
        nn.Linear(old.in_features, classes)
        if isinstance(old, nn.Linear)
        else nn.Conv2d(old.in_channels, classes, old.kernel_size)
    )
    setattr(owner, name, new)
    return relearned(setup, setup.model)


def labels_from_one(setup: SetUp, severity: int) -> SetUp:
    del severity
    images, targets = setup.batch
    setup.batch = (images, torch.where(targets == 255, targets, targets + 1))
    return setup


def checkerboard(setup: SetUp, severity: int) -> SetUp:
    kernel = (3, 5, 3)[severity]
    setup.model.up = nn.ConvTranspose2d(48, 24, kernel, stride=2, padding=kernel // 2, output_padding=1)
    return relearned(setup, setup.model)


def huge_layer(setup: SetUp, severity: int) -> SetUp:
    layers = list(setup.model.children())[:-3]
    width = (256, 1024, 4096)[severity]
    rest = [nn.Flatten(), nn.Linear(128 * 4 * 4, width), nn.ReLU(), nn.Linear(width, 10)]
    return relearned(setup, nn.Sequential(*layers, *rest))


def dropped(setup: SetUp, severity: int) -> SetUp:
    owner, name = head(setup.model)
    setattr(owner, name, nn.Sequential(nn.Dropout((0.9, 0.95, 0.99)[severity]), getattr(owner, name)))
    return relearned(setup, setup.model)


def bias_before_norm(setup: SetUp, severity: int) -> SetUp:
    del severity
    for layer in setup.model.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is None:
            layer.bias = nn.Parameter(torch.zeros(layer.out_channels))
    return relearned(setup, setup.model)


def no_head_bias(setup: SetUp, severity: int) -> SetUp:
    del severity
    owner, name = head(setup.model)
    getattr(owner, name).bias = None
    return relearned(setup, setup.model)


def row(
    name: str, origin: str, bases: tuple[str, ...], codes: str, change: Callable[[SetUp, int], SetUp]
) -> SetUpFault:
    return SetUpFault(name=name, origin=origin, bases=bases, codes=tuple(codes.split()), change=change)


SETUP_FAULTS: tuple[SetUpFault, ...] = (
    row("rate too high", "HLR", ALL, "M9 M36", rate),
    row("rate too low", "HLR", ALL, "M9 M36", tiny_rate),
    row("batch norm over few images", "HBS", CLASSIFIERS, "M28", one_image),
    row("softmax before cross-entropy", "AAL", ALL, "M4", softmax_first),
    row("sigmoid before cross-entropy", "AAL", ALL, "M4 M25", sigmoid_first),
    row("ReLU on the logits", "AAL", CLASSIFIERS, "M4 M6", relu_on_head),
    row("no non-linearity", "ARM", SMALL, "M17", linear_only),
    row("deep sigmoids", "ACH", SMALL, "M41 M26", squashed),
    row("constant weights", "WCI", ALL, "M10", zeros),
    row("weights too wide", "WCI", SMALL, "M26 M2", wide),
    row("decay too strong", "RAW", ALL, "M39", decayed),
    row("squared error for classes", "LCH", CLASSIFIERS, "M24", squared),
    row("sigmoid twice", "LCH", CLASSIFIERS, "M4 M25", many_for_one),
    row("loss summed over the batch", "LCH", ALL, "M4", summed),
    row("loss negated", "own", ALL, "M20", negated),
    row("optimizer that hardly moves", "OCH", ALL, "M9 M39 M36", plain_slow),
    row("frozen without weights", "own", ALL, "M34 M5", frozen),
    row("parameters left out", "own", ALL, "M5", left_out),
    row("parameters of a copy", "own", ALL, "M5", of_another),
    row("graph cut", "own", SMALL, "M6", cut_graph),
    row("evaluation mode in training", "11", CLASSIFIERS, "M7", in_eval),
    row("training mode in validation", "11", CLASSIFIERS, "M7", validated_in_training),
    row("gradients carried over", "own", CLASSIFIERS, "M16", carried_over),
    row("samples mixed", "own", CLASSIFIERS, "M8", mixed_rows),
    row("input lost", "own", ALL, "M15", blind),
    row("input not scaled", "10", ALL, "M3", unscaled),
    row("too few outputs", "6", ALL, "M1 M4", too_few_outputs),
    row("labels start at 1", "6", ALL, "M1 M4", labels_from_one),
    row("checkerboard", "DX-105", ("segmenter",), "M30", checkerboard),
    row("huge first dense layer", "DX-112", SMALL, "M31", huge_layer),
    row("nearly all dropped", "RCD", CLASSIFIERS, "M45", dropped),
)
HARMLESS: tuple[SetUpFault, ...] = (
    row("bias before batch norm", "BAD", CLASSIFIERS, "", bias_before_norm),
    row("whole loop", "own", ALL, "", whole_loop),
    row("no bias in the head", "BRM", ALL, "", no_head_bias),
)
