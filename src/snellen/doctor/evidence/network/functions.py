"""What torch's functions do, by their names: which have weights, which are linear, which only move values."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import torch

__all__ = ["Kind", "arguments_of", "kind_of", "name_of", "writes_in_place"]


class Kind(StrEnum):
    """What a function is for."""

    CONV = "convolution"
    CONV_TRANSPOSE = "transposed convolution"
    LINEAR = "linear"
    ATTENTION = "attention"
    RECURRENT = "recurrent"
    BATCH_NORM = "batch norm"
    NORM = "norm"  # of one sample: layer, group, instance
    ACTIVATION = "activation"
    GATE = "gate"  # a product of two things that both depend on the image
    MAX_POOL = "max pooling"
    MEAN_POOL = "mean pooling"
    RESIZE = "resize"
    ADD = "sum"
    CONCAT = "concatenation"
    DROPOUT = "dropout"
    AFFINE = "scaling"  # by constants or parameters
    SHAPE = "shape"  # values are moved and not changed
    OTHER = "other"  # taken for non-linear


_KINDS: dict[Kind, str] = {
    Kind.CONV: "conv1d conv2d conv3d convolution",
    Kind.CONV_TRANSPOSE: "conv_transpose1d conv_transpose2d conv_transpose3d",
    Kind.LINEAR: "linear matmul mm bmm addmm baddbmm einsum mv dot tensordot",
    Kind.ATTENTION: "multi_head_attention_forward scaled_dot_product_attention",
    Kind.RECURRENT: "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
    Kind.BATCH_NORM: "batch_norm",
    Kind.NORM: "layer_norm group_norm instance_norm rms_norm local_response_norm normalize",
    Kind.ACTIVATION: "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish softplus hardswish hardtanh "
    "hardsigmoid sigmoid tanh logsigmoid log_sigmoid softsign softshrink hardshrink tanhshrink threshold glu softmax "
    "softmin log_softmax gumbel_softmax abs square pow exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos erf "
    "clamp clip clamp_min clamp_max maximum minimum expit reciprocal sign heaviside logsumexp norm",
    Kind.MAX_POOL: "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d "
    "max_pool2d_with_indices fractional_max_pool2d amax amin max min",
    Kind.MEAN_POOL: "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
    "mean sum",
    Kind.RESIZE: "interpolate upsample upsample_bilinear upsample_nearest grid_sample",
    Kind.ADD: "add sub subtract rsub",
    Kind.CONCAT: "cat concat concatenate stack hstack vstack dstack",
    Kind.DROPOUT: "dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout "
    "stochastic_depth native_dropout",
    Kind.GATE: "mul multiply div divide truediv true_divide addcmul",
    Kind.AFFINE: "neg negative fill zero",
    Kind.SHAPE: "view reshape flatten unflatten ravel permute transpose swapaxes swapdims movedim moveaxis t adjoint "
    "squeeze unsqueeze expand expand_as repeat repeat_interleave tile broadcast_to chunk split unsafe_split "
    "unsafe_chunk tensor_split unbind getitem setitem get select narrow index_select gather take_along_dim slice flip "
    "roll rot90 contiguous clone detach alias to float double half bfloat16 type type_as cpu cuda pad constant_pad_nd "
    "unfold fold pixel_shuffle pixel_unshuffle channel_shuffle copy identity view_as reshape_as as_strided diagonal "
    "column_stack requires_grad rename align_to meshgrid scatter index_put masked_fill tril triu embedding "
    "_to_copy slice_scatter as_subclass numpy_T",
}  # fmt: skip
_KIND_OF: dict[str, Kind] = {name: kind for kind, names in _KINDS.items() for name in names.split()}

# Python's operators are methods with names of their own.
_OPERATORS = {"iadd", "radd", "isub", "rsub", "imul", "rmul", "imatmul", "rmatmul", "itruediv", "rtruediv", "ipow",
              "rpow"}  # fmt: skip
_RECIPROCAL = {"rtruediv", "rpow", "reciprocal"}

# torch's own functions in C have no signatures that Python can read.
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "conv1d": _CONV,
    "conv2d": _CONV,
    "conv3d": _CONV,
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
    ),
    "linear": ("input", "weight", "bias"),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    "dropout": ("input", "p", "training"),
    "interpolate": ("input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias"),
    "upsample": ("input", "size", "scale_factor", "mode", "align_corners"),
    "grid_sample": ("input", "grid", "mode", "padding_mode", "align_corners"),
    "softmax": ("input", "dim"),
}


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function of torch without the marks of methods, operators and in-place forms."""
    name = getattr(function, "__name__", type(function).__name__).strip("_")
    return name[1:] if name in _OPERATORS and name not in _RECIPROCAL else name


def writes_in_place(function: Callable[..., Any], arguments: Mapping[str, Any], result: Any, first: Any) -> bool:
    """Return whether a call has changed its first argument."""
    name = getattr(function, "__name__", "")
    if name in ("__setitem__", "copy_") or arguments.get("inplace") is True:
        return True
    return result is first and isinstance(first, torch.Tensor) and (name.endswith("_") or name.startswith("__i"))


def kind_of(name: str, moving: int, weighted: bool) -> Kind:  # noqa: FBT001 - one of two facts about the same call
    """Return what a call of a function is.

    Args:
        name: Of the function, see `name_of`.
        moving: How many of its arguments depend on the image.
        weighted: Whether a matrix of parameters is among them.
    """
    kind = _KIND_OF.get(name, Kind.OTHER)
    if kind is Kind.GATE:
        return Kind.GATE if moving > 1 else Kind.AFFINE
    if kind is Kind.LINEAR and not weighted:
        return Kind.GATE if moving > 1 else Kind.AFFINE
    if kind is Kind.SHAPE and name in ("gather", "scatter", "index_put", "masked_fill") and moving > 1:
        return Kind.OTHER
    return kind


def arguments_of(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, as far as their names are known."""
    return {**dict(zip(_ARGUMENTS.get(name, ()), args, strict=False)), **kwargs}
