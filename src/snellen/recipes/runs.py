"""The folder of a run: everything needed to use the model, to go on, and to repeat it.

run.json              settings with reasons, classes, data, environment, command
problems.json         what is wrong with the data set
diagnosis.json        what was found in data and settings before training
skipped.json          files that could not be read, with reasons; not there if all could
log.jsonl             what happened, line by line
trace.msgpack         what the doctor saw of the training; traces/STAGE/ where it has several stages
tensorboard/          the same as curves
ensemble.json         members and their shares; for ensembles
stages.json           what each stage took and gave; for trainings of several stages
checkpoints/          last.pt (to go on), best.pt (to use); a folder for each stage
cache/                features of regions, as long as there are stages that need them
operating.json        thresholds and temperature that were chosen on the validation images; not there if none were
crf.json              kernels of a dense CRF that were chosen on them; not there if none were
evaluation/SPLIT/     results.json and predictions; SPLIT-HOW/ of several looks at each image
report.html
"""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Self, get_args

import torch
from torch import nn

from snellen import __version__
from snellen.errors import CheckpointError, ConfigError, did_you_mean
from snellen.evaluation import from_json
from snellen.models import ModelEntry, change_activations, change_settings, find_model, norm_named
from snellen.models.ensemble import Ensemble, MergeSettings
from snellen.nn import FrozenBatchNorm
from snellen.structures import Model, Results, Target
from snellen.training import CheckpointStore, read_checkpoint

__all__ = [
    "DIAGNOSIS",
    "ENSEMBLE",
    "ENSEMBLE_FILE",
    "Run",
    "add_skipped",
    "build_model",
    "environment",
    "new_folder",
    "read_skipped",
    "recorded_entry",
    "write_json",
]

RUNS_FOLDER = Path("runs")
RECORD = "run.json"
ENSEMBLE = "ensemble"  # name of a model that is made of others
ENSEMBLE_FILE = "ensemble.json"
DIAGNOSIS = "diagnosis.json"
_VERSION = 1
_MOST_NEAR = 6  # runs that an error names
_ENTRIES = (
    "model", "model_options", "classes", "data", "format", "read", "fingerprint", "image_size", "resize", "masks",
    "proposals", "augmentation", "multi_scale", "settings",
)  # fmt: skip
_SKIPPED = "skipped.json"


def write_json(path: Path, content: Any) -> None:
    """Write JSON so that the file is either the old or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, path)  # noqa: PTH105 - the atomic one


def new_folder(name: str, parent: Path = RUNS_FOLDER) -> Path:
    """Return a folder ``parent/name`` or, if that exists, ``parent/name-2`` and so on; it is made."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def recorded_entry(record: Mapping[str, Any]) -> ModelEntry:
    """Return the row of the catalogue for the model of a record."""
    if record["model"] == ENSEMBLE:
        return _ensemble_entry(record)
    kinds = {kind.__name__: kind for kind in get_args(Target)}
    return find_model(record["model"], kinds.get(record.get("target", "")))


def _ensemble_entry(record: Mapping[str, Any]) -> ModelEntry:
    """Return a row as the catalogue would have it for a model that is made of others."""
    parts = record["model_options"]["members"]

    def build(num_classes: int, *, members: Any, weights: Sequence[float], merge: Mapping[str, Any]) -> Model:
        del num_classes
        built: list[nn.Module] = [build_model({**part, "classes": record["classes"]}) for part in members]  # type: ignore[misc]
        return Ensemble(built, weights=weights, settings=MergeSettings(**merge))

    return replace(
        recorded_entry(parts[0]), name=ENSEMBLE, build=build, summary=f"ensemble of {len(parts)}", page="",
        multi_scale=None, num_anchors=0, sized=False, presumes_weights=False, tuned=None,
    )  # fmt: skip


def build_model(record: Mapping[str, Any]) -> Model:
    """Return the model of a record with random weights."""
    options = dict(record["model_options"])
    if options.pop("frozen_norm", False):
        options["norm"] = FrozenBatchNorm
    if (norm := options.pop("norm_name", None)) is not None:
        options["norm"] = norm_named(norm)
    activation = options.pop("activation_name", None)
    settings = options.pop("settings_by_path", {})
    model = recorded_entry(record).build(len(record["classes"]), **options)
    if activation is not None:
        change_activations(model, activation)  # type: ignore[arg-type]  # every model is a module
    change_settings(model, settings)  # type: ignore[arg-type]  # every model is a module
    return model


def add_skipped(folder: Path, skipped: Mapping[str, str]) -> None:
    """Add files that were left out, with reasons, to those that earlier parts of the run left out."""
    if skipped:
        write_json(folder / _SKIPPED, {**read_skipped(folder), **skipped})


def read_skipped(folder: Path) -> dict[str, str]:
    """Return the files that a run left out, with reasons."""
    file = folder / _SKIPPED
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def environment() -> dict[str, str]:
    """Return versions and hardware."""
    packages = ("torch", "torchvision", "numpy", "pillow", "faster-coco-eval")
    versions = {"snellen": __version__, **{name: metadata.version(name) for name in packages}}
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    return {
        "python": platform.python_version(),
        **versions,
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "GPU": device,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A trained model, or one in training, in its folder.

    Attributes:
        folder: Of the run.
        record: What ``run.json`` says.
    """

    folder: Path
    record: Mapping[str, Any]

    @classmethod
    def create(cls, folder: Path, record: Mapping[str, Any]) -> Self:
        """Write the record of a new run."""
        write_json(folder / RECORD, {"version": _VERSION, **record})
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Return the run in ``folder``.

        Raises:
            CheckpointError: If there is no run, or its record cannot be read.
        """
        place = Path(folder)
        file = place / RECORD
        if not file.is_file():
            raise CheckpointError(f"{place}: expected the folder of a run, with a {RECORD} in it.{_near(place)}")
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{file}: expected JSON; {error}. Train again, or restore the file.") from error
        if not isinstance(record, dict) or record.get("version") != _VERSION:
            raise CheckpointError(f"{file}: expected a record of version {_VERSION}; this is not one. Train again.")
        missing = [name for name in _ENTRIES if name not in record]
        if missing:
            raise CheckpointError(
                f"{file}: expected the entries {', '.join(_ENTRIES)}; {', '.join(missing)} not there. "
                "Restore the file, or train again."
            )
        return cls(folder=place, record=record)

    @property
    def store(self) -> CheckpointStore:
        """Where the checkpoints are."""
        return CheckpointStore(self.folder / "checkpoints")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in label order."""
        return tuple(self.record["classes"])

    @property
    def target_type(self) -> type[Target]:
        """What the model learned from."""
        return recorded_entry(self.record).target_type

    @property
    def results(self) -> dict[str, Results]:
        """What was measured, by split."""
        found = {}
        for file in sorted((self.folder / "evaluation").glob("*/results.json")):
            found[file.parent.name] = from_json(file.read_text(encoding="utf-8"))
        return found

    @property
    def report(self) -> Path:
        """Where the report is, or will be."""
        return self.folder / "report.html"

    def build(self) -> Model:
        """Return the model of the record with random weights."""
        return build_model(self.record)

    def weights_file(self, which: str = "best") -> Path:
        """Return the checkpoint with the ``best`` or ``last`` weights; where there is no best yet, the last.

        Raises:
            CheckpointError: If nothing was saved yet.
            ConfigError: If ``which`` is neither.
        """
        if which not in ("best", "last"):
            raise ConfigError(f"which must be 'best' or 'last'; got {which!r}.{did_you_mean(which, ['best', 'last'])}")
        store = self.store
        # The stages of a training keep their last weights for themselves; what the last stage left is the best.
        staged = [store.best] if (self.folder / "stages.json").is_file() else []
        candidates = [store.best, store.last] if which == "best" else [store.last, *staged]
        file = next((path for path in candidates if path.exists()), None)
        if file is None:
            raise CheckpointError(
                f"{self.folder}: expected a checkpoint in {store.folder.name}/; none was saved yet. Train first."
            )
        return file

    def load(self, *, which: str = "best", device: torch.device | str = "cpu") -> Model:
        """Return the trained model in evaluation mode.

        Args:
            which: ``best`` or ``last``; where there is no best yet, the last.
            device: Where to put it.

        Raises:
            CheckpointError: If nothing was saved yet.
            ConfigError: If ``which`` is neither.
        """
        file = self.weights_file(which)
        model = self.build()
        weights = read_checkpoint(file).weights
        module: torch.nn.Module = model  # type: ignore[assignment]  # every model is a module
        try:
            module.load_state_dict(dict(weights))
        except RuntimeError as error:  # torch says so of names and shapes alike
            raise CheckpointError(
                f"{file}: expected weights of {self.record['model']} with {len(self.classes)} classes, as {RECORD} "
                f"says; they do not fit ({str(error).splitlines()[0]}). Restore {RECORD} or the checkpoint."
            ) from error
        except CheckpointError as error:  # of a model that checks what was fitted itself
            raise CheckpointError(f"{file}: {error}") from error
        if getattr(model, "is_fitted", True) is False:
            raise CheckpointError(f"{file}: expected what was fitted; there is nothing. Restore it, or train again.")
        module.to(device).eval()
        return model


def _near(place: Path) -> str:
    inside = sorted(file.parent.name for file in place.glob(f"*/{RECORD}"))
    if inside:
        more = f" and {len(inside) - _MOST_NEAR} more" if len(inside) > _MOST_NEAR else ""
        return f" There are runs in it: {', '.join(inside[:_MOST_NEAR])}{more}."
    parent = place.parent if place.parent.is_dir() else Path()
    names = [str(file.parent) for file in [*parent.glob(f"*/{RECORD}"), *RUNS_FOLDER.glob(f"*/{RECORD}")]]
    return did_you_mean(str(place), set(names))
