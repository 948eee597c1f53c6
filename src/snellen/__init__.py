"""Snellen trains vision models on your own images and tells the truth about data, model, training and results.

The names below are loaded when they are first used, so that importing the package is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snellen.data import DatasetIndex
    from snellen.doctor import check_parity, examine, watch
    from snellen.doctor.range_test import lr_range
    from snellen.errors import SnellenError
    from snellen.recipes import (
        AblationReport,
        BaselineReport,
        CheckReport,
        Run,
        TrainOptions,
        TreatmentReport,
        ablate,
        baseline,
        check,
        convert,
        describe,
        enhance,
        evaluate,
        find_rate,
        load,
        predict,
        resume,
        segment,
        train,
        treat,
    )

__version__ = "0.1.0"

_HOMES = {
    "AblationReport": "snellen.recipes",
    "BaselineReport": "snellen.recipes",
    "CheckReport": "snellen.recipes",
    "DatasetIndex": "snellen.data",
    "Run": "snellen.recipes",
    "SnellenError": "snellen.errors",
    "TrainOptions": "snellen.recipes",
    "TreatmentReport": "snellen.recipes",
    "ablate": "snellen.recipes",
    "baseline": "snellen.recipes",
    "check": "snellen.recipes",
    "check_parity": "snellen.doctor",
    "convert": "snellen.recipes",
    "describe": "snellen.recipes",
    "enhance": "snellen.recipes",
    "evaluate": "snellen.recipes",
    "examine": "snellen.doctor",
    "find_rate": "snellen.recipes",
    "load": "snellen.recipes",
    "lr_range": "snellen.doctor.range_test",
    "predict": "snellen.recipes",
    "resume": "snellen.recipes",
    "segment": "snellen.recipes",
    "train": "snellen.recipes",
    "treat": "snellen.recipes",
    "watch": "snellen.doctor",
}

__all__ = [
    "AblationReport",
    "BaselineReport",
    "CheckReport",
    "DatasetIndex",
    "Run",
    "SnellenError",
    "TrainOptions",
    "TreatmentReport",
    "ablate",
    "baseline",
    "check",
    "check_parity",
    "convert",
    "describe",
    "enhance",
    "evaluate",
    "examine",
    "find_rate",
    "load",
    "lr_range",
    "predict",
    "resume",
    "segment",
    "train",
    "treat",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'snellen' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
