"""Settings that work without being given: chosen from the data, the device and the weights, each with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import torch
from torch import nn

from snellen.data import DataDescription
from snellen.errors import ConfigError
from snellen.models import ModelEntry, find_model, usual_norm
from snellen.recipes.loop_planning import USUAL, Choices, Usual, at_least_one, loop_settings
from snellen.recipes.options import TrainOptions
from snellen.recipes.progress import num_cores
from snellen.recipes.proposing import check_proposals
from snellen.recipes.sampling import SamplerName
from snellen.structures import BoxTarget, Target
from snellen.training import TrainSettings

__all__ = ["NOT_TRAINED", "Plan", "chosen_device", "make_plan"]

# Of a model that presumes weights.
NOT_TRAINED = "a part of this model is never trained and stays random; give weights that were trained on ImageNet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that decides what a run computes.

    Attributes:
        model: Row of the catalogue.
        image_size: See ``TrainOptions``.
        batch_size: Images per batch.
        augment: Strength of the augmentation.
        flip: Whether images are mirrored.
        workers: Processes that read images.
        device: Where to compute.
        frozen_norm: Whether batch norms keep the statistics of the weights.
        multi_scale: Whether the size of the images changes every ten batches.
        sampler: How often each training image is shown.
        proposals: Where proposals come from; None for models that make their own.
        settings: Of the training loop.
        reasons: Why each setting has its value, by name.
    """

    model: ModelEntry
    image_size: int
    batch_size: int
    augment: float
    flip: bool
    workers: int
    device: str
    frozen_norm: bool
    multi_scale: bool
    sampler: SamplerName
    proposals: str | None
    settings: TrainSettings
    reasons: Mapping[str, str]


_MADE_FOR = {"square": "the size that the network is made for", "squeeze": "the size that suits the features"}
_SMALL_OBJECT_PX = 16.0  # an object smaller than two cells of stride 8 leaves little to see
_LEAST_BATCHES = 8  # per epoch; fewer give an epoch too few steps to mean anything
_MULTI_SCALE_EPOCHS = 30  # about; with fewer a network meets each size too seldom


def chosen_device(device: str | None) -> tuple[str, str]:
    """Return the device to compute on and why.

    Raises:
        ConfigError: If the device named is not there.
    """
    if device is None:
        if torch.cuda.is_available():
            return "cuda", f"found {torch.cuda.get_device_name(0)}"
        return "cpu", "no GPU was found"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"device must be one that torch can use here; got {device!r}: {reason}. Leave it out to use the best one."
        ) from error
    return device, "given"


def make_plan(description: DataDescription, target_type: type[Target], num_train: int, options: TrainOptions) -> Plan:
    """Choose every setting that the user left open.

    Args:
        description: Of the data set.
        target_type: What its annotations are.
        num_train: Images that an epoch shows.
        options: What the user said.

    Raises:
        ConfigError: If the model does not learn from such annotations, or a value is out of range.
    """
    usual = USUAL[target_type]
    choices = Choices(options)
    device, choices.reasons["device"] = chosen_device(options.device)
    on_cpu = torch.device(device).type == "cpu"
    tuned = options.weights is not None
    entry = _model(choices, usual, target_type, tuned=tuned)
    if entry.presumes_weights and not tuned:
        choices.reasons["weights"] = NOT_TRAINED
    size = choices.pick("image_size", lambda: _image_size(description, usual, entry, on_cpu=on_cpu))
    batch_size = choices.pick("batch_size", lambda: _batch_size(usual, num_train, on_cpu=on_cpu))
    at_least_one(image_size=size, batch_size=batch_size)
    batches = ceil(num_train / batch_size)
    flip = choices.pick("flip", lambda: _flip(usual, description.classes))
    # A network that was published without batch norm has none to freeze.
    frozen_norm = tuned and usual.frozen_norm and usual_norm(entry, options.model_options) is nn.BatchNorm2d
    if frozen_norm:
        choices.reasons["frozen_norm"] = "batches are too small to estimate statistics better than those of the weights"
    settings = loop_settings(choices, usual, entry, batch_size, batches, num_train, device, tuned=tuned)
    augment = choices.pick("augment", lambda: _augment(usual, settings.epochs))
    _check_mixes(options, entry)
    if not usual.has_classes and options.sampler not in (None, "shuffled"):
        raise ConfigError(
            f"the sampler {options.sampler!r} counts classes; {', '.join(description.classes)} are values. Leave it "
            "out."
        )
    return Plan(
        model=entry,
        image_size=size,
        batch_size=batch_size,
        augment=augment,
        flip=flip,
        workers=choices.pick("workers", lambda: _workers(on_cpu=on_cpu)),
        device=device,
        frozen_norm=frozen_norm,
        multi_scale=entry.multi_scale is not None
        and choices.pick("multi_scale", lambda: _multi_scale(settings.epochs, options)),
        sampler=choices.pick("sampler", lambda: ("shuffled", "every image once an epoch")),
        proposals=_proposals(choices, entry),
        settings=settings,
        reasons=choices.reasons,
    )


def _model(choices: Choices, usual: Usual, target_type: type[Target], *, tuned: bool) -> ModelEntry:
    name = choices.pick(
        "model",
        lambda: (
            (usual.model_tuned, "small and quick; made for given weights")
            if tuned
            else (usual.model, "a good first choice without pretrained weights")
        ),
    )
    entry = find_model(name, target_type)
    if entry.target_type is not target_type:
        raise ConfigError(
            f"the model {name!r} learns from {entry.target_type.__name__}; the data set has {target_type.__name__}. "
            f"Try model={usual.model!r}, or see `snellen models`."
        )
    return entry


def _image_size(description: DataDescription, usual: Usual, entry: ModelEntry, *, on_cpu: bool) -> tuple[int, str]:
    if entry.resize in _MADE_FOR:
        return entry.default_size[0], _MADE_FOR[entry.resize]
    size, reason = _suitable_size(description, usual, entry.target_type, on_cpu=on_cpu)
    return (size, reason) if size >= entry.least_size else (entry.least_size, "the least that the network takes")


def _suitable_size(
    description: DataDescription, usual: Usual, target_type: type[Target], *, on_cpu: bool
) -> tuple[int, str]:
    size = usual.size_cpu if on_cpu else usual.size_gpu
    reason = f"usual on a {'CPU' if on_cpu else 'GPU'}"
    if not description.image_heights:
        return size, reason
    short = min(description.image_heights[1], description.image_widths[1])
    if target_type is BoxTarget and description.box_size_px:
        small = description.box_size_px[1]
        if small * size / short < _SMALL_OBJECT_PX and size < short:
            size = min(ceil(short / 32) * 32, ceil(_SMALL_OBJECT_PX / max(small, 1.0) * short / 32) * 32, 2 * size)
            reason = f"raised, for the smallest objects have about {small:.0f} px in the files"
    if short <= size:
        return max(usual.least_size, round(short / 32) * 32), f"the images' own short side is {short:.0f} px"
    return size, reason


def _batch_size(usual: Usual, num_train: int, *, on_cpu: bool) -> tuple[int, str]:
    size = usual.batch_size_cpu if on_cpu else usual.batch_size_gpu
    if num_train < _LEAST_BATCHES * size:
        return max(
            1, min(size, num_train // _LEAST_BATCHES)
        ), f"few images ({num_train}): at least {_LEAST_BATCHES} steps an epoch"
    return size, f"usual on a {'CPU' if on_cpu else 'GPU'}"


def _multi_scale(epochs: int, options: TrainOptions) -> tuple[bool, str]:
    if options.copy_paste:
        return False, "objects are pasted with their outlines, which have one size"
    if epochs < _MULTI_SCALE_EPOCHS:
        return False, f"few epochs ({epochs}) to see every size in"
    return True, "the paper's own"


def _proposals(choices: Choices, entry: ModelEntry) -> str | None:
    if not entry.regions:
        return None
    return check_proposals(choices.pick("proposals", lambda: ("fast", "selective search, its fast strategy")))


def _check_mixes(options: TrainOptions, entry: ModelEntry) -> None:
    mixed = [name for name in ("mosaic", "mixup", "copy_paste") if getattr(options, name)]
    if mixed and entry.regions:
        raise ConfigError(
            f"{mixed[0]} needs a model that makes its own proposals, for those from outside are of one image; got "
            f"{entry.name!r}. Leave {mixed[0]} out, or take a Faster R-CNN."
        )
    if options.proposals is not None and not entry.regions:
        raise ConfigError(f"the model {entry.name!r} makes its own proposals; got proposals={options.proposals!r}.")
    if options.multi_scale and options.copy_paste:
        raise ConfigError("multi_scale and copy_paste do not go together, for outlines have one size. Leave one out.")
    if options.multi_scale and entry.multi_scale is None:
        raise ConfigError(f"the model {entry.name!r} is not made for multi-scale training. Leave multi_scale out.")


def _flip(usual: Usual, classes: tuple[str, ...]) -> tuple[bool, str]:
    if not usual.stands_changes:
        return False, "a mirror image may have other values; say --flip where it has not"
    if classes and all(len(name) == 1 for name in classes):
        return False, "the classes are single characters, whose mirror images are others"
    return True, "mirror images show the same things"


def _augment(usual: Usual, epochs: int) -> tuple[float, str]:
    if not usual.stands_changes:
        return 0.0, "an image that is changed may have other values; give a strength where it has not"
    first, full = usual.augment_epochs
    if epochs >= full:
        return usual.augment, "usual for this kind of annotation"
    share = max(0.0, (epochs - first) / (full - first))
    return round(usual.augment * share, 3), f"few epochs ({epochs}): less than the usual {usual.augment:g}"


def _workers(*, on_cpu: bool) -> tuple[int, str]:
    cores = num_cores()
    if on_cpu and cores <= 2:
        return 0, f"the network needs the {'core' if cores == 1 else f'{cores} cores'} itself"
    return (min(4, cores // 4 or 1) if on_cpu else min(8, max(1, cores - 1))), f"{cores} cores"
