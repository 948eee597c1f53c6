"""Faults of trainings at three severities, and trainings that look odd and are fine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training_runs import Plan

BASES: Mapping[str, Plan] = {
    "mlp": Plan(net="mlp3", data="mnist", lr=0.02),
    "deep mlp": Plan(net="mlp8", data="mnist", lr=2e-3, optimizer="adam"),
    "cnn": Plan(net="cnn", data="mnist", lr=0.02),
    "cnn with norms": Plan(net="cnn_bn", data="cifar", lr=2e-3, optimizer="adamw", weight_decay=0.01),
    "resnet8": Plan(net="resnet8", data="cifar", lr=0.05),
}
ALL = tuple(BASES)
# Nets and data beside them of which only healthy trainings are judged.
FURTHER: Mapping[str, Plan] = {
    "wide mlp on thumbs": Plan(net="mlp3", data="cifar", lr=5e-3),
    "strided cnn": Plan(net="strided", data="mnist", lr=3e-3, optimizer="adamw", weight_decay=0.01, steps=400),
    "transformer": Plan(net="transformer", data="mnist", lr=2e-3, optimizer="adamw", weight_decay=0.05),
}
HIGH = ("T10", "T3", "T4", "T6", "T1", "T8 killed")
LOW = ("T10", "T5", "T2")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        name: Of it.
        codes: Of the checks that may be called its cause, some with one of their messages only.
        change: What is changed, by severity; a callable is given the healthy plan.
        bases: That it can break.
        is_harm_elsewhere: Whether it costs time or memory, not accuracy.
    """

    name: str
    codes: tuple[str, ...]
    change: tuple[Mapping[str, Any], ...]
    bases: tuple[str, ...] = ALL
    is_harm_elsewhere: bool = False

    def plan(self, base: Plan, severity: int) -> Plan:
        values = {name: value(base) if callable(value) else value for name, value in self.change[severity].items()}
        return Plan(**{**vars(base), **values})


def times(name: str, *factors: float) -> tuple[Mapping[str, Any], ...]:
    return tuple({name: lambda base, factor=factor: type(vars(base)[name])(vars(base)[name] * factor)}
                 for factor in factors)  # fmt: skip


def each(name: str, *values: Any, **more: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple({name: value, **more} for value in values)


FAULTS: tuple[Fault, ...] = (
    Fault(name="rate too high (HLR)", codes=HIGH, change=times("lr", 30, 100, 1000)),
    Fault(name="rate too low (HLR)", codes=LOW, change=times("lr", 1e-2, 1e-3, 1e-4)),
    Fault(name="few steps (HNE)", codes=("T5",), change=times("steps", 0.3, 0.2, 0.12)),
    Fault(name="tiny batch (HBS)", codes=("T4", "T17", "T10", "T3"), change=each("batch", 4, 2, 1)),
    Fault(name="whole batch (HDB)", codes=("T5", "T17"), change=each("batch", 500, 1000, 1500, steps=31)),
    Fault(name="sigmoids (ACH)", codes=("T7", "T9", "T2"), change=each("activation", "sigmoid", "softmax"),
          bases=("deep mlp", "cnn")),
    Fault(name="initial weights too large (WCI)", codes=("T27", "T1"),
          change=each("init", "normal0.5", "normal1", "normal5"), bases=("mlp", "deep mlp", "cnn")),
    Fault(name="initial weights too small (WCI)", codes=("T7", "T10", "T2", "T15"),
          change=each("init", "normal0.01", "normal0.001", "normal0.0001"), bases=("deep mlp", "cnn")),
    Fault(name="initial weights alike (WCI)", codes=("T20", "T28", "T10 weak", "T27"),
          change=each("init", "0", "0.01", "0.05"),
          bases=("mlp", "deep mlp", "cnn", "resnet8")),
    Fault(name="weight decay too strong (RAW)", codes=("T24", "T2", "T15"), change=each("weight_decay", 0.1, 0.3, 1.0),
          bases=("mlp", "cnn", "resnet8")),
    Fault(name="loss summed (LCH)", codes=HIGH, change=each("loss", "sum"), bases=("mlp", "cnn", "resnet8")),
    Fault(name="optimizer (OCH)", codes=LOW, change=(
        {"optimizer": "adadelta", "lr": 1e-2}, {"optimizer": "adadelta", "lr": 1e-3},
        {"optimizer": "plain", "lr": 1e-4},
    )),
    Fault(name="clipped too short (OCG)", codes=("T6", "T10", "T5", "T2"), change=each("clip", 1e-1, 1e-2, 1e-3),
          bases=("mlp", "cnn", "resnet8")),
    Fault(name="dropout (RCD)", codes=("T25",), change=each("dropout", 0.8, 0.9, 0.97),
          bases=("mlp", "deep mlp", "cnn", "cnn with norms")),
    Fault(name="norm statistics (DX-055)", codes=("T11",), change=each("norm_momentum", 0.003, 0.001, 0.0),
          bases=("cnn with norms", "resnet8")),
    Fault(name="not shuffled (DX-031)", codes=("T26",), change=({"is_shuffled": False},)),
    Fault(name="wrong labels (TCL)", codes=("T2", "T12", "T30"), change=each("wrong_labels", 0.5, 0.8, 1.0)),
    Fault(name="labels constant", codes=("T15",), change=each("labels", "constant")),
    Fault(name="unbalanced (TUD)", codes=("T15",), change=each("keep", 0.05, 0.02, 0.0)),
    Fault(name="few images (TRD)", codes=("T12",), change=each("images", 200, 100, 40)),
    Fault(name="schedule (T14)", codes=("T14", "T10", "T5"),
          change=each("schedule", "warm-up that never ends", "gone", "zero")),
    Fault(name="stopped early (RCP)", codes=("T19", "T5", "T14"), change=(
        {"steps": 120, "planned": 1000, "schedule": "constant", "lr": lambda base: base.lr / 10},
        {"steps": 60, "planned": 300, "schedule": "constant", "lr": lambda base: base.lr / 10},
        {"steps": 40, "planned": 300, "schedule": "constant", "lr": lambda base: base.lr / 10},
    )),
    Fault(name="weights written back", codes=("T20",), change=each("frozen", "written back")),
    Fault(name="steps skipped", codes=("T21",), change=each("skipped", 0.2, 0.4, 0.7), is_harm_elsewhere=True),
    Fault(name="slow loader", codes=("T16",), change=each("wait_s", 0.01, 0.02, 0.05, steps=60), bases=("mlp",),
          is_harm_elsewhere=True),
    Fault(name="not a number", codes=("T1",), change=each("loss", "log")),
)  # fmt: skip

HEALTHY: Mapping[str, Mapping[str, Any]] = {
    "twin": {},
    "Adam": {"optimizer": "adam", "lr": 1e-3},
    "RMSprop": {"optimizer": "rmsprop", "lr": 5e-4},
    "no momentum": {"optimizer": "plain", "lr": 0.1},
    "constant rate": {"schedule": "constant"},
    "warm-up": {"schedule": "warm-up"},
    "rate in steps": {"schedule": "steps"},
    "cyclic rate": {"schedule": "cyclic"},
    "third of the rate": {"lr": lambda base: base.lr / 3},
    "twice the rate": {"lr": lambda base: base.lr * 2},
    "label smoothing": {"loss": "smooth0.2"},
    "focal loss": {"loss": "focal"},
    "loss below zero": {"loss": "below zero"},
    "squared error": {"loss": "mse"},
    "mixup": {"mixup": True},
    "augmented": {"augment": 0.5},
    "dropout": {"dropout": 0.3},
    "half frozen": {"frozen": "half"},
    "batch of 8": {"batch": 8, "lr": lambda base: base.lr / 3},
    "batch of 128": {"batch": 128},
    "two batches a step": {"accumulate": 2},
    "clipped at 5": {"clip": 5.0},
    "weight decay": {"weight_decay": 1e-3},
    "unbalanced 1:3": {"keep": 0.33},
    "a tenth of wrong labels": {"wrong_labels": 0.1},
    "GELU": {"activation": "gelu"},
    "leaky ReLU": {"activation": "leaky"},
    "ELU": {"activation": "elu"},
    "long": {"steps": 900},
    "short": {"steps": 150},
    "very short": {"steps": 25},
    "no weight decay": {"weight_decay": 0.0},
    "weight decay of AdamW": {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.05},
    "batch of 64": {"batch": 64},
    "batch of 16": {"batch": 16, "lr": lambda base: base.lr / 2},
    "four batches a step": {"accumulate": 4, "steps": 150},
    "clipped at 1": {"clip": 1.0},
    "few images": {"images": 700, "steps": 150},
    "more images": {"images": 4000},
    "augmented strongly": {"augment": 1.0},
    "mixup and label smoothing": {"mixup": True, "loss": "smooth0.1"},
    "little dropout": {"dropout": 0.1},
    "a twentieth of wrong labels": {"wrong_labels": 0.05},
    "unbalanced 1:2": {"keep": 0.5},
    "SiLU": {"activation": "silu"},
}


def healthy_plan(base: Plan, variant: str) -> Plan:
    """Return an odd training that is fine."""
    return Fault(name=variant, codes=(), change=(HEALTHY[variant],)).plan(base, 0)
