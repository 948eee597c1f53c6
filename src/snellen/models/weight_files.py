"""Files of weights: what they hold, whoever wrote them. Fitting them into a model is in ``weights.py``."""

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from snellen.errors import CheckpointError
from snellen.models.darknet_files import is_darknet_file

__all__ = ["WeightsFile", "read_weights", "weights_settings"]

_TORCH_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".tar")
_SAFE_SUFFIX = ".safetensors"

# Where trainers put the weights in a checkpoint; averaged ones first, because those were evaluated.
_SECTIONS = (
    "model_ema",
    "state_dict_ema",
    "ema_state_dict",
    "ema",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "module",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """The tensors of a file.

    Attributes:
        tensors: By the key in the file.
        section: Where in a checkpoint they lay, "" for the top.
        others: Entries that are not weights, such as an optimizer's state.
    """

    tensors: Mapping[str, Tensor]
    section: str = ""
    others: tuple[str, ...] = ()


def read_weights(file: Path | str) -> WeightsFile:
    """Read a state dict from a file of torch (``.pth``, ``.pt``, ``.ckpt``, ``.bin``) or safetensors.

    Nothing in the file is executed: pickles are read with ``weights_only=True``.

    Raises:
        CheckpointError: If the file is absent, broken, of another kind, or holds no tensors.
    """
    path = Path(file)
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a file of weights; there is no such file. Check the path.")
    if path.suffix == _SAFE_SUFFIX:
        found = WeightsFile(tensors=_read_safetensors(path))
    elif path.suffix in _TORCH_SUFFIXES:
        found = _unwrapped(_read_torch(path))
    else:
        raise CheckpointError(
            f"{path}: expected {' '.join((_SAFE_SUFFIX, *_TORCH_SUFFIXES))} or darknet's .weights; "
            f"got {path.suffix!r}. Save the state dict of the model with torch.save or safetensors."
        )
    if not found.tensors:
        raise CheckpointError(
            f"{path}: expected a state dict (names with tensors); found no tensor"
            f"{', only ' + ', '.join(found.others[:5]) if found.others else ''}. Save model.state_dict()."
        )
    return found


def weights_settings(file: Path | str) -> dict[str, Any]:
    """Return what a file says about the input its weights were trained on, a safetensors file in its metadata.

    Returns:
        Some of ``mean``, ``std`` (three numbers each where 1 is full scale) and ``padding`` (``"torch"`` or
        ``"same"``): options for the builder of a model. Empty for files that say nothing or are of another
        kind. Darknet's networks read values of 0..1, so its files say a mean of 0 and a spread of 1.

    Raises:
        CheckpointError: If the file cannot be read or one of the entries cannot be understood.
    """
    path = Path(file)
    if is_darknet_file(path):
        return {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    if path.suffix != _SAFE_SUFFIX:
        return {}
    metadata = _safe_metadata(path)
    settings: dict[str, Any] = {}
    for key in ("mean", "std"):
        if key in metadata:
            settings[key] = _colour(path, key, metadata[key])
    if "padding" in metadata:
        if metadata["padding"] not in ("torch", "same"):
            raise CheckpointError(
                f"{path}: metadata 'padding' must be 'torch' or 'same'; got {metadata['padding']!r}. "
                "Correct the metadata."
            )
        settings["padding"] = metadata["padding"]
    return settings


def _colour(path: Path, key: str, text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(value) for value in json.loads(text))
    except (ValueError, TypeError):
        values = ()
    if len(values) != 3:
        raise CheckpointError(
            f"{path}: metadata {key!r} must be three numbers as JSON, for instance '[0.5, 0.5, 0.5]'; "
            f"got {text!r}. Correct the metadata."
        )
    return values


def _safe_metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as opened:
            return opened.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _broken(path, error) from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise _broken(path, error) from error


def _read_torch(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            # Said of every pickle that torch did not write; what cannot be read of it raises anyway.
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not _is_torch_file(path):
            raise _broken(path, error) from error
        raise CheckpointError(
            f"{path}: expected tensors and plain containers; the pickle holds other objects "
            f"({_reason(error)}), and to load those would run code from the file. If you trust it, load "
            "it once with the program that wrote it and save model.state_dict()."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        raise _broken(path, error) from error


def _is_torch_file(path: Path) -> bool:
    # Either a zip archive or, before torch 1.6, a bare pickle, whose first byte is the protocol's opcode.
    with path.open("rb") as stream:
        return zipfile.is_zipfile(path) or stream.read(1) == pickle.PROTO


def _broken(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path}: expected a file of weights; it cannot be read ({_reason(error)}). "
        "It may be cut short or of another format: fetch or save it again."
    )


def _reason(error: Exception) -> str:
    text = str(error).strip()
    if isinstance(error, pickle.UnpicklingError):
        # torch's message is a page of advice, even to load without protection; one line names what it met.
        found = re.search(r"GLOBAL ([\w.]+)", text) or re.search(r"error:\s*([^\n]+)", text)
        return found[1] if found else type(error).__name__
    return text.splitlines()[0] if text else type(error).__name__


def _unwrapped(loaded: object, section: str = "") -> WeightsFile:
    if not isinstance(loaded, Mapping):
        return WeightsFile(tensors={}, section=section, others=(f"a {type(loaded).__name__}",))
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    for name in _SECTIONS:
        inner = loaded.get(name)
        if isinstance(inner, Mapping) and inner:
            found = _unwrapped(inner, f"{section}.{name}" if section else name)
            if found.tensors:
                rest = tuple(str(key) for key in loaded if key != name)
                return WeightsFile(tensors=found.tensors, section=found.section, others=found.others + rest)
    others = tuple(str(key) for key, value in loaded.items() if not isinstance(value, Tensor))
    return WeightsFile(tensors=tensors, section=section, others=others)
