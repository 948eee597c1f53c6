"""Traces made by hand: a loss, and what samples show of a small network."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from snellen.doctor.watching import LayerColumn, ParameterColumn, StepRow, Trace, ValidationRow, trace_of

Values = float | Sequence[float] | np.ndarray
SIZE = 10.0  # of each weight


def falling(
    steps: int = 400, start: float = 2.3, end: float = 0.2, noise: float = 0.03, pace: float = 5.0
) -> np.ndarray:
    """Return a loss that falls as an exponential, with noise."""
    course = end + (start - end) * np.exp(-pace * np.arange(steps) / steps)
    return course + noise * np.random.default_rng(0).standard_normal(steps)


def flat(steps: int = 400, level: float = 2.3, noise: float = 0.03) -> np.ndarray:
    """Return a loss that stays where it is."""
    return level + noise * np.random.default_rng(0).standard_normal(steps)


def made(
    loss: np.ndarray | None,
    *,
    layers: int = 4,
    every: int = 10,
    gradient: Callable[[int], Values] = lambda _: 1.0,
    update: Callable[[int], Values] = lambda _: 0.01,
    weight: Callable[[int], Values] = lambda step: SIZE + 1e-4 * step,
    agreement: Callable[[int], float] = lambda _: 0.3,
    dead: Values = 0.0,
    zeros: Values = 0.5,
    saturated: Values = np.nan,
    gap: Values = np.nan,
    apart: Values = 0.5,
    varied: Callable[[int], Values] = lambda _: 1.0,
    named: Callable[[int], Sequence[int]] = lambda _: (),
    rate: Callable[[int], Values] = lambda _: 0.1,
    terms: Mapping[str, np.ndarray] | None = None,
    images: Callable[[int], int] = lambda _: 32,
    wait_s: float = 0.001,
    step_s: Callable[[int], float] = lambda _: 0.02,
    memory: Callable[[int], int] = lambda _: 2**30,
    validations: Sequence[tuple[int, Mapping[str, float]]] = (),
    planned: int | None = None,
    is_over: bool = True,
    steps: int | None = None,
) -> Trace:
    """Return the trace of a training: ``layers`` linear layers with an activation between each two.

    What is a function is one of the step, from 1; what may be a sequence is one value for each layer.
    """
    count = steps or len(loss if loss is not None else next(iter((terms or {}).values())))
    per_layer = lambda value: tuple(np.broadcast_to(np.asarray(value, float), layers).tolist())  # noqa: E731
    rows: list[StepRow | ValidationRow] = []
    nothing = [np.nan] * layers

    def facts(step: int) -> tuple[tuple[float, ...], ...]:
        of_weights = zip(*map(per_layer, (zeros, dead, nothing, gap, apart, varied(step))), strict=True)
        of_activations = zip(*map(per_layer, (0.5, nothing, saturated, nothing, nothing, nothing)), strict=True)
        both = [(1.0, 3.0, *row) for pair in zip(of_weights, of_activations, strict=True) for row in pair]
        return tuple(both[:-1])

    told = {step: ValidationRow(step=step, scores=dict(scores)) for step, scores in validations}
    for step in range(1, count + 1):
        is_sampled = step <= 5 or step % every == 0
        losses = {name: float(values[step - 1]) for name, values in (terms or {}).items()}
        if loss is not None:
            losses["loss"] = float(loss[step - 1])
        rates = rate(step)
        rows.append(
            StepRow(
                step=step,
                losses=losses,
                rates=tuple(np.atleast_1d(rates).tolist()),
                wait_s=wait_s,
                step_s=step_s(step),
                images=images(step),
                gradient=per_layer(gradient(step)) if is_sampled else (),
                weight=per_layer(weight(step)) if is_sampled else (),
                update=per_layer(update(step)) if is_sampled else (),
                agreement=agreement(step) if is_sampled else float("nan"),
                layers=facts(step) if is_sampled else (),
                named=tuple(named(step)) if is_sampled else (),
                memory=memory(step) if is_sampled else 0,
            )
        )
        if step in told:
            rows.append(told[step])
    columns = [
        LayerColumn(name=f"{place}", kind="Linear" if place % 2 == 0 else "ReLU",
                    role="weights" if place % 2 == 0 else "activation")
        for place in range(2 * layers - 1)
    ]  # fmt: skip
    parameters = [ParameterColumn(name=f"{2 * place}.weight", shape=(10, 10), group=0) for place in range(layers)]
    return trace_of(rows, layers=columns, parameters=parameters, planned_steps=planned, is_over=is_over)
