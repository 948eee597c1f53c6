"""Treatments of what is asked and answered: unequal classes, losses, labels, sizes, anchors, suppression, light."""

from collections.abc import Mapping
from typing import Any

from snellen.data import Repairs
from snellen.doctor import Finding
from snellen.recipes.treating.remedy import BEFORE, Change, Changes, Remedy, model_option, path
from snellen.recipes.treating.situation import Situation
from snellen.structures import BoxTarget, ClassTarget, MaskTarget, ValueTarget

__all__ = [
    "ADJUST_AFTER",
    "ADJUST_LOSS",
    "BALANCED",
    "BALANCED_CROPS",
    "BOX_GIOU",
    "DICE",
    "EFFECTIVE_NUMBER",
    "EVEN_LIGHT",
    "FINER_SUPPRESSION",
    "FOCAL",
    "HARD_EXAMPLES",
    "INVERSE",
    "INVERSE_SQRT",
    "LARGER_IMAGES",
    "LOOSER_SUPPRESSION",
    "NEUTRAL_COLOUR",
    "OWN",
    "OWN_DROP",
    "RELABEL",
    "REPEAT_RARE",
    "ROI_ALIGN",
    "SOFT_SUPPRESSION",
    "SQUARE_ROOT",
    "STRETCH_LIGHT",
    "TERM_WEIGHT",
]

_BALANCE = "balance"  # job of whatever makes rare classes count for more
_LARGER = 1.5  # times the side of an image, a size that costs about twice as much
_MOST_PX = 1600


def _own(run: Situation, finding: Finding) -> Changes | None:
    """Return the settings that the check itself prescribes, where the model has them and they are not so already."""
    treatment = finding.treatment
    if treatment is None or not treatment.settings:
        return None
    changes: dict[str, Any] = {}
    for name, value in treatment.settings.items():
        if name == "model_options":
            changes |= _inside(run, value)
        elif run.record.get(name, run.settings.get(name)) != value:
            changes[name] = value
    return changes or None


def _inside(run: Situation, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of the model that it has; a path that another model has is looked for by its last name."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        here = name if name in run.known or name in run.inside else _by_last_name(run, name)
        if here is not None and {**run.known, **run.inside}[here] != value:
            found[here] = value
    return found


def _by_last_name(run: Situation, name: str) -> str | None:
    last = name.rpartition(".")[2]
    return next((own for own in run.inside if own.rpartition(".")[2] == last and not own.startswith(BEFORE)), None)


def _own_drop(run: Situation, finding: Finding) -> Changes | None:
    """Return that the images that a check names are left out, as far as they are learned from."""
    named = () if finding.treatment is None else finding.treatment.drop_images
    drop = tuple(image for image in named if image in run.train_images)
    return {"repairs": Repairs(drop=drop)} if drop else None


def _relabel(run: Situation, finding: Finding) -> Changes | None:
    """Return that labels that a check proposes are taken, as far as images are learned from."""
    data = {} if finding.treatment is None else finding.treatment.data
    found = Repairs.from_record({name: data[name] for name in ("labels", "objects") if name in data})
    labels = {image: name for image, name in found.labels.items() if image in run.train_images}
    objects = tuple(one for one in found.objects if one.image in run.train_images)
    fits = bool(labels and run.target_type is ClassTarget) or bool(objects and run.target_type is BoxTarget)
    return {"repairs": Repairs(labels=labels, objects=objects)} if fits else None


def _sampler(word: str) -> Change:
    """Return a change of which images an epoch shows, where they have classes."""

    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        fits = run.descends and run.target_type is not ValueTarget
        return {"sampler": word} if fits and run.record["sampler"] != word else None

    return change


def _class_weights(word: str) -> Change:
    """Return a change of how much each class counts in the loss of one class for each image."""

    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        return {"class_weights": word} if "class_weights" in run.known and run.known["class_weights"] != word else None

    return change


def _balanced_crops(run: Situation, finding: Finding) -> Changes | None:
    del finding
    return {"balanced_crops": 0.5} if run.target_type is MaskTarget and not run.record.get("balanced_crops") else None


def _focal(run: Situation, finding: Finding) -> Changes | None:
    del finding
    if run.can_be("loss", "focal"):
        return {"loss": "focal"}
    found = next((name for name in run.inside if name.endswith(".class_loss")), None)
    return {found: "focal"} if found is not None and run.inside[found] == "cross_entropy" else None


def _larger_images(run: Situation, finding: Finding) -> Changes | None:
    del finding
    size = round(run.record["image_size"] * _LARGER / 32) * 32
    return {"image_size": size} if run.entry.resize == "short" and size <= _MOST_PX else None


def _term_weight(run: Situation, finding: Finding) -> Changes | None:
    """Return ten times the weight of boxes for a term of boxes that is next to nothing, a tenth for one that is all."""
    name = str(finding.numbers.get("name", ""))
    found = next((inside for inside in run.inside if inside.endswith("box_weight")), None)
    if found is None or "box" not in name:
        return None
    return {found: run.inside[found] * (10.0 if finding.message == "small" else 0.1)}


def _box_loss(run: Situation, finding: Finding) -> Changes | None:
    del finding
    if run.can_be("box_loss", "giou"):
        return {"box_loss": "giou"}
    found = next((name for name in run.inside if name.endswith("settings.box_loss")), None)
    return (
        {found: "giou"} if found is not None and found.startswith("settings") and run.inside[found] != "giou" else None
    )


def _enhanced(*operations: str) -> Change:
    """Return a change of the light of every image, in training and in use, behind what is done to it already."""

    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        now = tuple(run.record.get("enhance") or ())
        missing = tuple(one for one in operations if one not in now)
        return {"enhance": (*now, *missing)} if missing else None

    return change


OWN = Remedy(name="as prescribed", change=_own, source="the check")
OWN_DROP = Remedy(name="leave images out", change=_own_drop, source="the check", job="labels")
RELABEL = Remedy(name="take the proposed labels", change=_relabel, job="labels",
                 source="Northcutt et al. 2021; Tkachenko et al. 2023")  # fmt: skip
REPEAT_RARE = Remedy(name="show rare classes more often", change=_sampler("repeat_factor"),
                     source="Gupta et al. 2019, LVIS", job=_BALANCE)  # fmt: skip
BALANCED = Remedy(name="show all classes equally often", change=_sampler("class_balanced"), source="Kang et al. 2020",
                  job=_BALANCE)  # fmt: skip
SQUARE_ROOT = Remedy(name="show classes by the root of their size", change=_sampler("square_root"),
                     source="Mahajan et al. 2018", job=_BALANCE)  # fmt: skip
EFFECTIVE_NUMBER = Remedy(name="weigh classes by their effective number", change=_class_weights("effective_number"),
                          source="Cui et al. 2019", job=_BALANCE)  # fmt: skip
INVERSE = Remedy(name="weigh classes by inverse frequency", change=_class_weights("inverse"),
                 source="King and Zeng 2001", job=_BALANCE)  # fmt: skip
INVERSE_SQRT = Remedy(name="weigh classes by the root of inverse frequency", change=_class_weights("inverse_sqrt"),
                      source="Mahajan et al. 2018", job=_BALANCE)  # fmt: skip
FOCAL = Remedy(name="focal loss", change=_focal, source="Lin et al. 2017", job=_BALANCE)
ADJUST_LOSS = Remedy(name="logits adjusted by class sizes in the loss", change=model_option("logit_adjustment", "loss"),
                     source="Menon et al. 2021, eq. 10", job=_BALANCE)  # fmt: skip
ADJUST_AFTER = Remedy(name="logits adjusted by class sizes in use", change=model_option("logit_adjustment", "post_hoc"),
                      source="Menon et al. 2021, eq. 9", job=_BALANCE)  # fmt: skip
DICE = Remedy(name="Dice loss beside the cross-entropy", change=model_option("dice_weight", 1.0),
              source="Milletari et al. 2016; nnU-Net", job=_BALANCE)  # fmt: skip
BALANCED_CROPS = Remedy(name="cuts about rare classes", change=_balanced_crops, source="nnU-Net",
                        job=_BALANCE)  # fmt: skip
HARD_EXAMPLES = Remedy(name="only the hardest negatives", change=path("settings.mining", "ohem"),
                       source="Shrivastava et al. 2016", job=_BALANCE)  # fmt: skip
LARGER_IMAGES = Remedy(name="larger images", change=_larger_images, source="Tan and Le 2019", job="image size")
SOFT_SUPPRESSION = Remedy(name="soft suppression", change=path("suppression", "soft_gaussian"),
                          source="Bodla et al. 2017", job="suppression")  # fmt: skip
LOOSER_SUPPRESSION = Remedy(name="suppress from a larger overlap", change=path("nms_iou", 0.65),
                            source="Hosang et al. 2017", job="suppression")  # fmt: skip
FINER_SUPPRESSION = Remedy(name="suppress from a smaller overlap", change=path("nms_iou", 0.35),
                           source="Hosang et al. 2017", job="suppression")  # fmt: skip
BOX_GIOU = Remedy(
    name="a loss of overlap for boxes", change=_box_loss, source="Rezatofighi et al. 2019", job="box loss"
)
ROI_ALIGN = Remedy(name="RoIAlign", change=model_option("pooling", "roi_align"), source="He et al. 2017, section 3")
TERM_WEIGHT = Remedy(name="another weight of the term", change=_term_weight, source="Kendall et al. 2018")
STRETCH_LIGHT = Remedy(name="the whole range of light", change=_enhanced("stretch"), source="Pizer et al. 1987",
                       job="light")  # fmt: skip
EVEN_LIGHT = Remedy(name="even light (CLAHE)", change=_enhanced("clahe"), source="Zuiderveld 1994", job="light")
NEUTRAL_COLOUR = Remedy(name="neutral light", change=_enhanced("neutral_light"), source="Finlayson and Trezzi 2004",
                        job="colour")  # fmt: skip
