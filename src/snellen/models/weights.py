"""Weights of others into our models, with an account of what fitted; ``weight_files.py`` reads the files."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from snellen.errors import CheckpointError
from snellen.models.backbones import Backbone
from snellen.models.darknet_files import DarknetModel, is_darknet_file, read_darknet_weights
from snellen.models.weight_files import WeightsFile, read_weights, weights_settings

__all__ = ["Mismatch", "WeightsReport", "load_weights", "weights_settings"]

_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.)+")  # DistributedDataParallel, AveragedModel; torch.compile
_ATTRIBUTE = re.compile(r"^(?:model|net|network)\.")  # of a trainer that holds the model, as Lightning's do
_BATCH_COUNT = "num_batches_tracked"  # a counter of batch norm that no result depends on
_BACKBONE = "backbone."
_DARKNET_PARTS = ("backbone", "neck", "head")  # of a detector, in the order of darknet's files

_MOST_NAMES = 5  # names to list of each kind in a summary
_SMALL_SHARE = 0.5  # of a file's numbers; below it the file is more likely of another network than of this one

Rules = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A tensor whose shape in the file is not the shape in the model."""

    key: str
    file_shape: tuple[int, ...]
    model_shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.key} {list(self.file_shape)} in the file, {list(self.model_shape)} in the model"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsReport:
    """What became of the tensors of a file and of a model.

    Attributes:
        file: The file.
        section: Where in the checkpoint the weights lay, "" for the top.
        loaded: Keys of the model that got their values from the file.
        missing: Keys of the model that the file lacks; they keep their values.
        unexpected: Keys of the file that the model has no place for.
        reshaped: What has another shape in the model, usually the head for another number of classes; not
            loaded.
        skipped: Entries of the file that are no weights, or that the caller did not want.
        model_share: Share of the model's numbers that came from the file, 0..1.
        file_share: Share of the file's numbers that found a place, 0..1.
    """

    file: Path
    section: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[Mismatch, ...]
    skipped: tuple[str, ...]
    model_share: float
    file_share: float

    def summary(self) -> str:
        """Return a few lines of plain text for people."""
        place = f", section {self.section!r}" if self.section else ""
        lines = [
            f"{self.file}{place}: {len(self.loaded)} tensors loaded, {self.model_share:.1%} of the model, "
            f"{self.file_share:.1%} of the file"
        ]
        lines += _listed("not in the file, kept as initialised", self.missing)
        lines += _listed("of another shape, kept as initialised", [str(item) for item in self.reshaped])
        lines += _listed("in the file only", self.unexpected)
        lines += _listed("left alone", self.skipped)
        if self.file_share < _SMALL_SHARE:
            lines.append("  Most of the file found no place. Is it of this architecture?")
        return "\n".join(lines)


def load_weights(model: nn.Module, file: Path | str, *, skip: Sequence[str] = ()) -> WeightsReport:
    """Copy what fits from a file into a model, and say what did not.

    Understands our own state dicts, those of torchvision's classifiers and detectors, bare backbones, and
    whatever a model lists in ``foreign_names`` (pairs of a regular expression and its replacement; the first
    that matches is used). A model or backbone may change the tensors of a file before they are named, by a method
    ``adapted_weights(tensors) -> tensors``. A ``DarknetModel``, or a model whose backbone, neck or head is one,
    also reads darknet's ``.weights``. Values are converted to the dtype and device of the model.

    Args:
        model: Changed in place, and only if nothing is raised.
        file: ``.safetensors``, a state dict or checkpoint of torch, or darknet's ``.weights`` or ``.conv.74``.
        skip: Beginnings of keys of the model that shall keep their values.

    Raises:
        CheckpointError: If the file cannot be read, nothing in it belongs to the model or has its shape, or it holds
            numbers that are not finite.
    """
    path = Path(file)
    content = _darknet_content(model, path) if is_darknet_file(path) else _adapted(model, read_weights(path))
    slots = model.state_dict()
    matched, unexpected = _matched(model, slots, content.tensors)
    if not matched:
        raise CheckpointError(
            f"{path}: expected weights of this model; no key fits. It has {_examples(content.tensors)}; "
            f"the model wants {_examples(slots)}. Choose the file of the same architecture."
        )
    unwanted = tuple(sorted(key for key in matched if key.startswith(tuple(skip))))
    wanted = {key: value for key, value in matched.items() if key not in unwanted}
    reshaped = _reshaped(wanted, slots)
    misfits = {item.key for item in reshaped}
    fitting = {key: value for key, value in wanted.items() if key not in misfits}
    if wanted and not fitting:
        raise CheckpointError(
            f"{path}: expected weights of this model; what has the same name has another shape: {reshaped[0]}"
            f"{f' and {len(reshaped) - 1} more' if len(reshaped) > 1 else ''}. "
            "Choose the file of the same architecture."
        )
    _check_finite(path, fitting)
    model.load_state_dict(fitting, strict=False)
    counters = tuple(key for key in unexpected if key.endswith(_BATCH_COUNT))
    return WeightsReport(
        file=path,
        section=content.section,
        loaded=tuple(fitting),
        missing=tuple(key for key in slots if key not in matched and not key.endswith(_BATCH_COUNT)),
        unexpected=tuple(key for key in unexpected if key not in counters),
        reshaped=reshaped,
        skipped=(*content.others, *counters, *unwanted),
        model_share=_num_values(fitting) / max(1, _num_values(slots)),
        file_share=_num_values(fitting) / max(1, _num_values(content.tensors)),
    )


def _adapted(model: nn.Module, content: WeightsFile) -> WeightsFile:
    networks = [module for module in model.modules() if isinstance(module, Backbone) and module is not model]
    for owner in (*networks, model):
        adapt = getattr(owner, "adapted_weights", None)
        if adapt is not None:
            content = replace(content, tensors=adapt(content.tensors))
    return content


def _darknet_content(model: nn.Module, path: Path) -> WeightsFile:
    if isinstance(model, DarknetModel):
        layers, body = list(model.darknet_layers()), isinstance(model, Backbone)
    else:
        found_parts = [(name, getattr(model, name, None)) for name in _DARKNET_PARTS]
        parts = {name: part for name, part in found_parts if isinstance(part, DarknetModel)}
        layers = [layer.moved(f"{name}.") for name, part in parts.items() for layer in part.darknet_layers()]
        layers = layers if _DARKNET_PARTS[0] in parts else []  # a file begins with the backbone
        body = "head" not in parts
    if not layers:
        raise CheckpointError(
            f"{path}: expected a model of darknet's layers for darknet's weights; {type(model).__name__} has none. "
            "Choose yolo_v1, yolo_v2, yolo_v3 or a model on a darknet backbone."
        )
    found = read_darknet_weights(path, layers, body=body)
    left = (f"{found.num_left} numbers behind the backbone's last layer",) if found.num_left else ()
    return WeightsFile(tensors=found.tensors, others=left)


def _reshaped(tensors: Mapping[str, Tensor], slots: Mapping[str, Tensor]) -> tuple[Mismatch, ...]:
    return tuple(
        Mismatch(key=key, file_shape=tuple(value.shape), model_shape=tuple(slots[key].shape))
        for key, value in tensors.items()
        if value.shape != slots[key].shape
    )


def _matched(
    model: nn.Module, slots: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    model_rules: Rules = getattr(model, "foreign_names", ())
    backbone_rules: Rules = getattr(getattr(model, "backbone", None), "foreign_names", ())
    matched: dict[str, Tensor] = {}
    unexpected = []
    for key, value in tensors.items():
        names = _candidates(key, model_rules, backbone_rules)
        name = next((name for name in names if name in slots and name not in matched), None)
        if name is None:
            unexpected.append(key)
        else:
            matched[name] = value
    return matched, unexpected


def _candidates(key: str, model_rules: Rules, backbone_rules: Rules) -> Iterator[str]:
    """Yield what ``key`` may be called in the model, the most literal reading first."""
    bare = _WRAPPERS.sub("", key)
    for read in (bare, _ATTRIBUTE.sub("", bare)):
        for name in (read, _renamed(read, model_rules)):
            yield name
            inner = name.removeprefix(_BACKBONE)
            yield inner  # the model is itself a backbone
            yield _renamed(inner, model_rules)
            yield _BACKBONE + _renamed(inner, backbone_rules)


def _renamed(key: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        name, count = re.subn(pattern, replacement, key)
        if count:
            return name
    return key


def _check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    bad = [key for key, value in tensors.items() if not torch.isfinite(value).all()]
    if bad:
        raise CheckpointError(
            f"{path}: expected finite weights; {len(bad)} tensors hold NaN or infinity, such as {bad[0]!r}. "
            "The training that wrote them had diverged: take an earlier checkpoint."
        )


def _num_values(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


def _examples(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in list(names)[:3])


def _listed(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return [f"  {len(names)} {title}: {', '.join(names[:_MOST_NAMES])}{more}"]
