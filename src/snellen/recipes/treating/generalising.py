"""Treatments of what is learned by heart or not at all: augmentation, regularisation, capacity, fine-tuning."""

from dataclasses import fields
from typing import Any

from snellen.doctor import Finding
from snellen.recipes.augmenting import SHARES, STANDS
from snellen.recipes.options import TrainOptions
from snellen.recipes.treating.remedy import Change, Changes, Remedy, model_option
from snellen.recipes.treating.situation import Situation

__all__ = [
    "AUGMENT",
    "CUTMIX",
    "DROPOUT",
    "ERASE",
    "FREEZE_HEAD",
    "FREEZE_LAST",
    "GRADUAL",
    "LARGER_MODEL",
    "LAYER_DECAY",
    "LESS_AUGMENT",
    "LESS_DROPOUT",
    "MIXUP",
    "MOSAIC",
    "NO_AVERAGE",
    "RANDAUGMENT",
    "SMALLER_MODEL",
    "SMOOTHING",
    "TUNE_ALL",
    "USUAL_IMAGES",
]

_HARDER = ("augment", "randaugment", "noise", *SHARES)
_DROPOUT = 0.25  # AutoTrainer
_SMOOTHING = 0.1  # Szegedy et al. 2016, section 7
# Networks from small to large, each like its neighbours but for its size.
_LADDERS: tuple[tuple[str, ...], ...] = (
    ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    ("cifar_resnet20", "cifar_resnet32", "cifar_resnet44", "cifar_resnet56", "cifar_resnet110"),
    (
        "mobilenet_v2_035",
        "mobilenet_v2_050",
        "mobilenet_v2_075",
        "mobilenet_v2",
        "mobilenet_v2_130",
        "mobilenet_v2_140",
    ),
    ("efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4"),
    ("vgg11", "vgg13", "vgg16", "vgg19"),
    ("densenet121", "densenet169", "densenet201"),
)


def _augment(run: Situation, finding: Finding) -> Changes | None:
    del finding
    return {"augment": min(1.0, max(0.5, 2 * run.record["augment"]))} if run.record["augment"] < 1 else None


def _less_augment(run: Situation, finding: Finding) -> Changes | None:
    del finding
    return {"augment": round(run.record["augment"] / 4, 3)} if run.record["augment"] > 0 else None


def _usual_images(run: Situation, finding: Finding) -> Changes | None:
    """Take back whatever was given that makes training images harder."""
    del finding
    changes: dict[str, Any] = {}
    for entry in fields(TrainOptions):
        value = getattr(run.given, entry.name)
        if entry.name in _HARDER and value and value != entry.default:
            changes[entry.name] = entry.default
    return changes or None


def _mix(name: str, value: Any) -> Change:
    """Return a change of images in training, where the run has none, and what is annotated stays right."""

    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        fits = run.descends and run.target_type in STANDS[name] and not (run.entry.regions and name != "erase")
        return {name: value} if fits and not run.record.get(name) else None

    return change


def _of_ladder(step: int) -> Change:
    """Return a change to the next larger (1) or smaller (-1) network of its kind, where no weights are given."""

    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        if run.has_weights:
            return None
        own, other = _beside(run.entry.name, step), _beside(run.known.get("backbone"), step)
        if own is not None:
            return {"model": own}
        return None if other is None else {"backbone": other}

    return change


def _beside(name: object, step: int) -> str | None:
    ladder = next((ladder for ladder in _LADDERS if name in ladder), ())
    place = ladder.index(str(name)) + step if ladder else -1
    return ladder[place] if 0 <= place < len(ladder) else None


def _less_dropout(run: Situation, finding: Finding) -> Changes | None:
    del finding
    current = run.known.get("dropout")
    return {"dropout": round(current / 4, 3)} if isinstance(current, float) and current > 0 else None


def _tuned(word: str) -> Change:
    """Return a change of what is learned anew, where a run begins from given weights."""

    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        return {"finetune": word} if run.has_weights and run.record.get("finetune") != word else None

    return change


def _layer_decay(run: Situation, finding: Finding) -> Changes | None:
    del finding
    current = run.record.get("layer_decay")
    return {"layer_decay": 0.7} if run.has_weights and (current is None or current > 0.7) else None


def _no_average(run: Situation, finding: Finding) -> Changes | None:
    del finding
    return {"ema": 0.0} if run.settings["ema_decay"] else None


AUGMENT = Remedy(name="stronger augmentation", change=_augment, source="Shorten and Khoshgoftaar 2019", job="augment")
USUAL_IMAGES = Remedy(name="the usual augmentation", change=_usual_images, job="augment",
                      source="what is chosen where nothing is given")  # fmt: skip
LESS_AUGMENT = Remedy(name="weaker augmentation", change=_less_augment, source="own", job="augment")
RANDAUGMENT = Remedy(name="RandAugment 2, 9", change=_mix("randaugment", (2, 9)), source="Cubuk et al. 2020",
                     job="augment")  # fmt: skip
MIXUP = Remedy(name="mixup of a half", change=_mix("mixup", 0.5), source="Zhang et al. 2018", job="mixing")
CUTMIX = Remedy(name="CutMix of a half", change=_mix("cutmix", 0.5), source="Yun et al. 2019", job="mixing")
MOSAIC = Remedy(name="mosaics of a half", change=_mix("mosaic", 0.5), source="Bochkovskiy et al. 2020", job="mixing")
ERASE = Remedy(name="erase rectangles", change=_mix("erase", 0.25), source="Zhong et al. 2020")
DROPOUT = Remedy(name="dropout of a quarter", change=model_option("dropout", _DROPOUT), source="AutoTrainer, dropout",
                 job="dropout")  # fmt: skip
LESS_DROPOUT = Remedy(name="a quarter of the dropout", change=_less_dropout, job="dropout",
                      source="Srivastava et al. 2014, section 7.3")  # fmt: skip
SMOOTHING = Remedy(name="label smoothing of a tenth", change=model_option("label_smoothing", _SMOOTHING),
                   source="Szegedy et al. 2016, section 7; Lukasik et al. 2020 for wrong labels")  # fmt: skip
LARGER_MODEL = Remedy(name="the next larger network", change=_of_ladder(1), job="capacity",
                      source="Ng, Machine Learning Yearning, bias")  # fmt: skip
SMALLER_MODEL = Remedy(name="the next smaller network", change=_of_ladder(-1),
                       source="Ng, Machine Learning Yearning, variance", job="capacity")  # fmt: skip
FREEZE_HEAD = Remedy(name="only the head learns", change=_tuned("head"), source="Kornblith et al. 2019", job="tuning")
FREEZE_LAST = Remedy(name="only the last stage and the head learn", change=_tuned("last:1"),
                     source="Yosinski et al. 2014", job="tuning")  # fmt: skip
GRADUAL = Remedy(name="stages begin to learn one after the other", change=_tuned("gradual"),
                 source="Howard and Ruder 2018", job="tuning")  # fmt: skip
TUNE_ALL = Remedy(name="everything learns", change=_tuned("all"), source="Kornblith et al. 2019", job="tuning")
LAYER_DECAY = Remedy(name="lower rates for earlier stages", change=_layer_decay, source="Howard and Ruder 2018, eq. 2",
                     job="tuning")  # fmt: skip
NO_AVERAGE = Remedy(name="no moving average of the weights", change=_no_average, source="own", job="average")
