"""Darknet's ``.weights``: a stream of numbers whose meaning the network knows.

A model that can be read from such files is a ``DarknetModel``: it lists its layers in the order of the file.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from snellen.errors import CheckpointError
from snellen.models.darknet_cfg import WEIGHTED_SECTIONS, CfgSection, read_darknet_cfg

__all__ = ["DarknetLayer", "DarknetModel", "DarknetWeights", "is_darknet_file", "read_darknet_weights"]

_FILE_NAME = re.compile(r"\.weights$|\.conv\.\d+$")  # yolov3.weights; darknet53.conv.74, what `darknet partial` cuts
_NUMBER_BYTES = 4  # float32
_LARGEST_VERSION = 1000  # above it the first two fields are no version but the floats of the oldest files

Kind = Literal["convolutional", "connected", "local"]
Numbers = Float32[np.ndarray, " numbers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DarknetLayer:
    """One layer with weights of a network, as it stands in darknet's files.

    Attributes:
        name: Of the module whose ``weight`` it is, and whose ``bias`` where there is no norm.
        kind: Name of its section in the ``.cfg``.
        shape: Of the weight: ``[out, in / groups, rows, columns]`` of a convolution, ``[out, in]`` of a
            connected layer (or of a 1×1 convolution that is a linear layer here), ``[locations, out, in, rows,
            columns]`` of a local layer, whose bias is ``[out, locations]``.
        norm: Name of the batch norm behind it (``weight``, ``bias``, ``running_mean``, ``running_var``), or None.
        stride: In pixels; only compared with a ``.cfg``.
        outputs_per_class: How many outputs each class has; 0 where the outputs do not depend on the classes. With
            it a file of another number of classes can be read: the layers of the classes come in the file's shape.
    """

    name: str
    kind: Kind = "convolutional"
    shape: tuple[int, ...]
    norm: str | None = None
    stride: int = 1
    outputs_per_class: int = 0

    @property
    def outputs(self) -> int:
        """Number of filters, or of values of a connected layer."""
        return self.shape[1] if self.kind == "local" else self.shape[0]

    @property
    def size(self) -> int:
        """Side of the kernel in pixels."""
        return self.shape[-1] if len(self.shape) > 2 else 1

    @property
    def numbers_per_output(self) -> int:
        """How many numbers of the file belong to each output."""
        per_channel = 1 if self.norm is None else 4
        weights = int(np.prod(self.shape)) // self.outputs
        return weights + (self.shape[0] * per_channel if self.kind == "local" else per_channel)

    @property
    def num_numbers(self) -> int:
        """How many numbers of the file belong to the layer."""
        return self.outputs * self.numbers_per_output

    def with_outputs(self, outputs: int) -> "DarknetLayer":
        """Return the layer with another number of outputs."""
        axis = 1 if self.kind == "local" else 0
        return replace(self, shape=(*self.shape[:axis], outputs, *self.shape[axis + 1 :]))

    def moved(self, prefix: str) -> "DarknetLayer":
        """Return the layer as a module lists it that holds this layer's module under ``prefix``."""
        return replace(self, name=prefix + self.name, norm=None if self.norm is None else prefix + self.norm)


@runtime_checkable
class DarknetModel(Protocol):
    """What ``load_weights`` wants of a model, or of its backbone, neck and head, to read darknet's files."""

    def darknet_layers(self) -> Sequence[DarknetLayer]:
        """Return the layers with weights in the order of the ``.cfg``; names are relative to this module."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DarknetWeights:
    """What a file held.

    Attributes:
        tensors: By the names of the model.
        version: Of darknet that wrote it: major, minor, revision.
        seen: Images it had been trained on.
        num_layers: How many of the layers the file held.
        num_left: Numbers behind the last layer, which belong to the rest of a longer network.
    """

    tensors: dict[str, Tensor]
    version: tuple[int, int, int]
    seen: int
    num_layers: int
    num_left: int


def is_darknet_file(file: Path | str) -> bool:
    """Return whether the name is that of a file of darknet's weights."""
    return _FILE_NAME.search(Path(file).name) is not None


def read_darknet_weights(file: Path | str, layers: Sequence[DarknetLayer], *, body: bool = False) -> DarknetWeights:
    """Read the layers of a model from a file of darknet.

    The file says nothing of its layers. If a ``.cfg`` of the same name lies beside it, the layers must agree
    with that. A file may end early between two layers, as those do that ``darknet partial`` cut off.

    Args:
        file: ``.weights``, or ``.conv.74`` and the like.
        layers: Those with weights, in the order of the file.
        body: Whether the layers are the beginning of a network, so that a file may go on behind them.

    Raises:
        CheckpointError: If the file is absent or no file of darknet, ends inside a layer, goes on behind the
            last one, or differs from its ``.cfg``.

    Source:
        ``load_weights_upto`` of https://github.com/pjreddie/darknet (src/parser.c).
    """
    path = Path(file)
    version, seen, numbers = _read_numbers(path)
    transposed = max(version[:2]) > _LARGEST_VERSION
    cfg = path.with_suffix(".cfg")
    if cfg.is_file():
        layers = _checked(read_darknet_cfg(cfg), layers, body=body)
    elif not body:
        layers = _for_classes(layers, len(numbers))
    tensors: dict[str, Tensor] = {}
    start, count = 0, 0
    for layer in layers:
        if start == len(numbers):
            break
        end = start + layer.num_numbers
        if end > len(numbers):
            raise _cut_short(path, layer, count, len(numbers) - start)
        tensors |= _tensors(layer, numbers[start:end], transposed=transposed)
        start, count = end, count + 1
    left = len(numbers) - start
    if left and not body:
        raise CheckpointError(
            f"{path}: expected {start} numbers for {count} layers; {left} more follow. It is of another network: "
            f"choose the model it was trained for, or put its .cfg beside it as {cfg.name}."
        )
    return DarknetWeights(tensors=tensors, version=version, seen=seen, num_layers=count, num_left=left)


def _read_numbers(path: Path) -> tuple[tuple[int, int, int], int, Numbers]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected a file of darknet's weights; it cannot be read ({error.strerror}). Check the path."
        ) from error
    # Three int32 and the number of images seen, which is 64 bits long since version 0.2.
    header = struct.Struct("<iiii")
    if len(content) >= header.size:
        major, minor, revision, seen = header.unpack_from(content)
        if major * 10 + minor >= 2 and max(major, minor) < _LARGEST_VERSION:
            header = struct.Struct("<iiiq")
    size = len(content) - header.size
    if size < _NUMBER_BYTES or size % _NUMBER_BYTES:
        raise CheckpointError(
            f"{path}: expected a header of {header.size} bytes and float32 numbers; got {len(content)} bytes, "
            f"{max(size, 0) % _NUMBER_BYTES} beyond whole numbers. It is cut short or no file of darknet: fetch it "
            "again."
        )
    major, minor, revision, seen = header.unpack_from(content)
    numbers = np.frombuffer(content, dtype="<f4", offset=header.size).astype(np.float32)
    return (major, minor, revision), seen, numbers


def _tensors(layer: DarknetLayer, numbers: Numbers, *, transposed: bool) -> dict[str, Tensor]:
    """Return the tensors of a layer; a connected layer has its weights before its norm, a convolution behind it."""
    per_channel = layer.outputs * (layer.shape[0] if layer.kind == "local" else 1)
    biases, rest = numbers[:per_channel], numbers[per_channel:]
    statistics = 0 if layer.norm is None else 3 * per_channel
    num_weights = len(rest) - statistics
    if layer.kind == "connected":
        weights, norm = rest[:num_weights], rest[num_weights:]
        if transposed:
            weights = weights.reshape(-1, layer.outputs).T
    else:
        norm, weights = rest[:statistics], rest[statistics:]
    tensors = {f"{layer.name}.weight": torch.from_numpy(weights.reshape(layer.shape).copy())}
    bias = torch.from_numpy(biases.copy())
    if layer.norm is None:
        tensors[f"{layer.name}.bias"] = bias.view(layer.outputs, -1) if layer.kind == "local" else bias
        return tensors
    scale, mean, variance = norm.reshape(3, per_channel)
    tensors[f"{layer.norm}.bias"] = bias
    tensors[f"{layer.norm}.weight"] = torch.from_numpy(scale.copy())
    tensors[f"{layer.norm}.running_mean"] = torch.from_numpy(mean.copy())
    tensors[f"{layer.norm}.running_var"] = torch.from_numpy(variance.copy())
    return tensors


def _for_classes(layers: Sequence[DarknetLayer], num_numbers: int) -> Sequence[DarknetLayer]:
    """Return the layers as they are in a file of another number of classes, if its length says so."""
    ends = np.cumsum([layer.num_numbers for layer in layers])
    per_class = sum(layer.outputs_per_class * layer.numbers_per_output for layer in layers)
    if num_numbers in ends or per_class == 0:
        return layers
    surplus = num_numbers - int(ends[-1])
    more, rest = divmod(surplus, per_class)
    if rest or any(layer.outputs + more * layer.outputs_per_class <= 0 for layer in layers):
        return layers
    return [layer.with_outputs(layer.outputs + more * layer.outputs_per_class) for layer in layers]


def _checked(sections: Sequence[CfgSection], layers: Sequence[DarknetLayer], *, body: bool) -> Sequence[DarknetLayer]:
    """Return the layers with the classes of a ``.cfg``, or say what line of it differs from them."""
    weighted = [section for section in sections if section.kind in WEIGHTED_SECTIONS]
    if len(weighted) > len(layers) and not body:
        raise CheckpointError(
            f"{weighted[len(layers)].place()}: expected {len(layers)} layers with weights; this is one more. "
            "Choose the model that this .cfg describes."
        )
    return [
        _agreeing(section, layer, number) for number, (section, layer) in enumerate(zip(weighted, layers, strict=False))
    ]


def _agreeing(section: CfgSection, layer: DarknetLayer, number: int) -> DarknetLayer:
    outputs_key = "output" if section.kind == "connected" else "filters"
    outputs = section.number(outputs_key, 1)
    # Key of the cfg, its value there, ours.
    rows: list[tuple[str, object, object]] = [("", section.kind, layer.kind)]
    if not layer.outputs_per_class:
        rows.append((outputs_key, outputs, layer.outputs))
    if section.kind != "connected":
        rows += [
            ("size", section.number("size", 1), layer.size),
            ("stride", section.number("stride", 1), layer.stride),
        ]
    rows.append(("batch_normalize", section.number("batch_normalize", 0) != 0, layer.norm is not None))
    for key, theirs, ours in rows:
        if theirs != ours:
            raise CheckpointError(
                f"{section.place(key)}: expected {key or 'the section'} {ours} for {layer.name!r}, layer {number} of "
                f"those with weights; got {theirs}. Choose the model that this .cfg describes."
            )
    return layer.with_outputs(outputs)


def _cut_short(path: Path, layer: DarknetLayer, number: int, left: int) -> CheckpointError:
    return CheckpointError(
        f"{path}: expected {layer.num_numbers} numbers for {layer.name!r}, layer {number} of those with weights; "
        f"{left} are left. The file is cut short or of another network: fetch it again, or choose its model."
    )
