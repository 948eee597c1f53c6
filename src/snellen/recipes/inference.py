"""How a trained model looks at images when it is used: in tiles, several times, with a dense CRF behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from snellen.errors import ConfigError, did_you_mean
from snellen.evaluation import Refined, Views
from snellen.imaging import DenseCrfSettings
from snellen.models.ensemble import Ensemble
from snellen.recipes.runs import Run
from snellen.structures import (
    BoxTarget,
    ClassTarget,
    LabelSetTarget,
    MaskTarget,
    Model,
    Results,
    Table,
    ValueTarget,
)

__all__ = ["PLAIN", "Inference", "check_inference", "crf_settings", "seen_by", "with_inference"]

_IN_TILES = (BoxTarget, MaskTarget)
_IN_VIEWS = (ClassTarget, LabelSetTarget, MaskTarget, ValueTarget)
_ONE_SIZE = ("square", "squeeze")  # ways to resize of models that take one size
_SCALES = (0.1, 10.0)  # beyond which nobody means it
_TITLE = "Predicted with"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What is done beside one look at each image.

    Attributes:
        tile: Side in pixels of the tiles into which larger images are cut; each is resized as the model is used to.
        scales: Factors of the size at which the model is used to see images; answers are averaged.
        flip: Whether mirrored images are seen, too.
        crf: Of a dense CRF behind the network; None for none.
    """

    tile: int | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    crf: DenseCrfSettings | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing is done beside one look."""
        return self == PLAIN

    @property
    def suffix(self) -> str:
        """What distinguishes the folder of such a measurement."""
        parts = [
            "" if self.tile is None else f"tile{self.tile}",
            "" if self.scales == (1.0,) else "scales" + "_".join(f"{scale:g}" for scale in self.scales),
            "flip" if self.flip else "",
            "" if self.crf is None else "crf",
        ]
        return "-".join(filter(None, parts))

    def record(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {**asdict(self), "scales": list(self.scales)}


PLAIN = Inference()


def check_inference(run: Run, inference: Inference, stride: int) -> None:
    """Raise ConfigError if a model cannot look at images so.

    Args:
        run: Of the model.
        inference: What is wanted.
        stride: Of the model.
    """
    name, kind, resize = run.record["model"], run.target_type, run.record["resize"]
    if inference.tile is not None:
        _check_tile(run, inference.tile, stride)
    if inference.crf is not None and kind is not MaskTarget:
        raise ConfigError(f"a dense CRF is for models that give every pixel a class; {name} does not. Leave it out.")
    if (inference.flip or inference.scales != (1.0,)) and kind not in _IN_VIEWS:
        raise ConfigError(
            f"scales and flip average what is said of pixels or of whole images; {name} finds objects, which have no "
            "mean. Leave them out."
        )
    low, high = _SCALES
    if not inference.scales or not all(low <= scale <= high for scale in inference.scales):
        raise ConfigError(f"scales must be numbers from {low:g} to {high:g}; got {list(inference.scales)}.")
    if inference.scales != (1.0,) and resize in _ONE_SIZE:
        raise ConfigError(
            f"scales are for models that take images of any size; {name} takes squares of {run.record['image_size']} "
            "px. Leave them out; flip is possible."
        )


def _check_tile(run: Run, tile: int, stride: int) -> None:
    name = run.record["model"]
    if run.target_type not in _IN_TILES:
        raise ConfigError(
            f"tile is for models that say where things are; {name} judges an image as a whole. Leave it out."
        )
    if run.record["resize"] in _ONE_SIZE:
        raise ConfigError(
            f"tile is for models that take images of any size; {name} takes squares of {run.record['image_size']} px. "
            "Leave it out."
        )
    if run.record["proposals"] is not None:
        raise ConfigError(f"tile is for models that make their own proposals; {name} does not.")
    if tile < stride:
        raise ConfigError(f"tile must be at least {stride} px for this model; got {tile}. Take larger tiles.")


def seen_by(model: Model, inference: Inference) -> Model:
    """Return a model that looks at images several times and refines its labels, as far as that is wanted.

    Of an ensemble every member does.
    """
    if isinstance(model, Ensemble) and (inference.flip or inference.scales != (1.0,) or inference.crf is not None):
        members: list[Any] = [seen_by(member, inference) for member in model.members]  # type: ignore[arg-type]
        whole = Ensemble(members, weights=model.shares.tolist(), settings=model.settings)
        return whole.to(model.shares.device).eval()
    seen: Model = model
    if inference.flip or inference.scales != (1.0,):
        seen = Views(seen, scales=inference.scales, flip=inference.flip).eval()
    if inference.crf is not None:
        seen = Refined(seen, inference.crf).eval()
    return seen


def crf_settings(
    base: DenseCrfSettings | None, *, wanted: bool | DenseCrfSettings | Mapping[str, Any] | None
) -> DenseCrfSettings | None:
    """Return the settings of a dense CRF, or None for none.

    Args:
        base: What was chosen for the network; the defaults if None.
        wanted: Whether there is one; its settings; or those that differ from the base, by name; None for none.

    Raises:
        ConfigError: If there is no such setting, or a value is out of range.
    """
    if wanted is None or wanted is False:
        return None
    usual = base or DenseCrfSettings()
    if wanted is True:
        return usual
    if isinstance(wanted, DenseCrfSettings):
        return wanted
    known = [field.name for field in fields(DenseCrfSettings)]
    for name in wanted:
        if name not in known:
            raise ConfigError(f"a dense CRF has no setting {name!r}.{did_you_mean(name, known)}")
    return replace(usual, **wanted)


def with_inference(results: Results, inference: Inference) -> Results:
    """Return results that say how images were looked at, if otherwise than once."""
    if inference.is_plain:
        return results
    rows: list[tuple[str, str]] = []
    if inference.tile is not None:
        rows.append(("tiles", f"{inference.tile} px, probabilities blended"))
    if inference.scales != (1.0,):
        rows.append(("scales", _listed(inference.scales)))
    if inference.flip:
        rows.append(("flip", "mirror images, too"))
    if inference.crf is not None:
        told = ", ".join(f"{name} {value:g}" for name, value in asdict(inference.crf).items())
        rows.append(("dense CRF", told))
    return replace(results, tables=(*results.tables, Table(title=_TITLE, columns=("What", "How"), rows=tuple(rows))))


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
