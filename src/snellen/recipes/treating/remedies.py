"""Which treatments each finding has, the likeliest first: one literal table.

The order follows AutoTrainer (Zhang et al. 2021, https://arxiv.org/abs/2103.03650, table 2) where it has one, and goes
on with what the field tries next. What a check itself prescribes is tried before everything else.
"""

from collections.abc import Mapping
from types import MappingProxyType

from snellen.doctor import Finding
from snellen.recipes.treating import answers as a
from snellen.recipes.treating import descent as d
from snellen.recipes.treating import generalising as g
from snellen.recipes.treating.remedy import Remedy

__all__ = ["APPLIED_FIRST", "PRESCRIBED", "REMEDIES", "WITH_ENSEMBLE", "remedies_of"]

Remedies = tuple[Remedy, ...]
PRESCRIBED: Remedies = (a.OWN, a.RELABEL, a.OWN_DROP)  # of a finding that carries a treatment
# By code of the check, or by code and message where they ask for different things.
REMEDIES: Mapping[str, Remedies] = MappingProxyType(
    {
        # data
        "D13": (a.BALANCED, a.EFFECTIVE_NUMBER, a.SQUARE_ROOT, a.INVERSE_SQRT, a.ADJUST_LOSS, a.ADJUST_AFTER, a.FOCAL,
                a.INVERSE, a.REPEAT_RARE),
        "D36": (a.DICE, a.EFFECTIVE_NUMBER, a.BALANCED_CROPS, a.FOCAL),
        "D14 train": (g.AUGMENT, g.RANDAUGMENT, g.MIXUP, g.SMALLER_MODEL),
        "D16": (g.SMOOTHING,),
        "D35": (g.SMOOTHING, g.MIXUP),
        "D18 dark": (a.STRETCH_LIGHT, a.EVEN_LIGHT),
        "D18 bright": (a.STRETCH_LIGHT,),
        "D18 split_darker": (a.STRETCH_LIGHT, a.EVEN_LIGHT),
        "D18 split_brighter": (a.STRETCH_LIGHT, a.EVEN_LIGHT),
        "D20 looks": (a.NEUTRAL_COLOUR, a.STRETCH_LIGHT, g.RANDAUGMENT, g.AUGMENT),
        "D20 property": (a.STRETCH_LIGHT, a.NEUTRAL_COLOUR, g.RANDAUGMENT),
        "D25": (a.NEUTRAL_COLOUR,),
        "D26": (a.STRETCH_LIGHT, a.EVEN_LIGHT),
        "D27": (a.EVEN_LIGHT,),
        "D19": (a.LARGER_IMAGES,),
        "D30": (a.LARGER_IMAGES,),
        "D31": (a.LARGER_IMAGES,),
        "D37": (a.SOFT_SUPPRESSION, a.LOOSER_SUPPRESSION),
        "D29 scratch": (g.SMALLER_MODEL, g.AUGMENT, g.RANDAUGMENT),
        "D29 few_similar": (g.FREEZE_HEAD, g.GRADUAL),
        "D29 few_different": (g.FREEZE_LAST, g.LAYER_DECAY, g.TUNE_ALL),
        # model and plan
        "M10": (d.KAIMING, d.XAVIER),
        "M22": (g.LARGER_MODEL,),
        "M26": (d.KAIMING, d.ORTHOGONAL, d.GROUP_NORM),
        "M27": (d.IDENTITY_BLOCKS, d.KAIMING, d.WARMUP),
        "M28": (d.GROUP_NORM, d.LARGER_BATCH),
        "M29": (d.DECAY_LESS,),
        "M41": (d.RELU, d.LEAKY, d.XAVIER),
        "M2": (d.KAIMING, d.WARMUP),
        "M9": (d.USUAL_RATE, d.WARMUP, d.CLIP),
        "M11": (d.USUAL_RATE, d.HIGHER_RATE, d.ADAMW, d.KAIMING),
        "M13": (d.SINGLE_PRECISION,),
        "M34": (g.TUNE_ALL, g.GRADUAL),
        "M35": (d.LONGER,),
        "M36": (d.USUAL_RATE, d.WARMUP,),
        "M37 large": (d.LARGER_BATCH,),
        "M39": (d.ADAMW, d.SGD),
        "M40": (g.LAYER_DECAY, g.GRADUAL),
        "M45": (g.LESS_DROPOUT,),
        # training
        "T1 loss": (d.USUAL_RATE, d.LOWER_RATE, d.CLIP, d.WARMUP, d.SINGLE_PRECISION),
        "T1 gradient": (d.USUAL_RATE, d.CLIP, d.LOWER_RATE, d.WARMUP, d.SINGLE_PRECISION),
        "T1 layer": (d.USUAL_RATE, d.LOWER_RATE, d.CLIP, d.SINGLE_PRECISION, d.KAIMING),
        "T1 weight": (d.USUAL_RATE, d.LOWER_RATE, d.CLIP, d.WARMUP),
        "T2": (d.USUAL_RATE, g.USUAL_IMAGES, d.USUAL_WARMUP, d.ADAMW, d.HIGHER_RATE, d.LOWER_RATE, d.LARGER_BATCH,
               d.KAIMING, g.LESS_AUGMENT),
        "T3": (d.USUAL_RATE, d.LOWER_RATE, d.CLIP, d.WARMUP),
        "T4": (d.USUAL_RATE, d.LOWER_RATE, d.AVERAGED, d.ACCUMULATE, d.LARGER_BATCH, d.ADAMW),
        "T5": (d.USUAL_RATE, d.USUAL_WARMUP, d.LONGER, d.HIGHER_RATE, d.ADAMW),
        "T6": (d.USUAL_RATE, d.USUAL_CLIP, d.TIGHT_CLIP, d.LOWER_RATE, d.WARMUP, d.GROUP_NORM, d.RELU),
        "T7": (d.USUAL_ACTIVATION, d.RELU, d.GELU, d.GROUP_NORM, d.KAIMING, d.ADAMW),
        "T8": (d.USUAL_RATE, d.LOWER_RATE, d.LEAKY, d.KAIMING, d.GELU),
        "T9": (d.USUAL_ACTIVATION, d.RELU, d.LOWER_RATE, d.XAVIER),
        "T10 high": (d.USUAL_RATE, d.LOWER_RATE, d.WARMUP),
        "T10 low": (d.USUAL_RATE, d.USUAL_WARMUP, d.HIGHER_RATE, d.ADAMW),
        "T10 weak": (d.USUAL_RATE, d.USUAL_WARMUP, d.USUAL_CLIP, d.HIGHER_RATE, d.DECAY_LESS),
        "T10 uneven": (d.CLIP, d.ADAMW, d.WARMUP),
        "T11": (d.GROUP_NORM, d.LARGER_BATCH, g.NO_AVERAGE),
        "T12": (g.AUGMENT, g.SMOOTHING, d.DECAY_MORE, g.DROPOUT, g.MIXUP, g.CUTMIX, g.RANDAUGMENT, g.MOSAIC, g.ERASE,
                d.AVERAGED, g.SMALLER_MODEL, g.FREEZE_LAST),
        "T15 one": (d.USUAL_RATE, d.LOWER_RATE, a.BALANCED, a.EFFECTIVE_NUMBER, a.FOCAL),
        "T15 never": (a.BALANCED, a.EFFECTIVE_NUMBER, a.ADJUST_LOSS, a.FOCAL, d.LONGER),
        "T15 rare": (a.BALANCED, a.EFFECTIVE_NUMBER, a.ADJUST_LOSS, a.FOCAL, a.DICE),
        "T18": (a.TERM_WEIGHT, a.BOX_GIOU),
        "T19": (d.PATIENCE,),
        "T24": (d.DECAY_LESS,),
        "T25": (g.LESS_DROPOUT,),
        "T27": (d.KAIMING, d.WARMUP),
        "T17 small": (d.ACCUMULATE, d.LARGER_BATCH, d.AVERAGED),
        # results
        "R2": (d.USUAL_RATE, g.USUAL_IMAGES, d.USUAL_ACTIVATION, d.USUAL_WARMUP, d.USUAL_BATCH, d.LONGER, d.HIGHER_RATE,
               d.LOWER_RATE, d.MUCH_LOWER_RATE, d.ADAMW),
        "R3 class": (a.REPEAT_RARE, g.LARGER_MODEL, d.LONGER),
        "R3 place": (a.ROI_ALIGN, a.BOX_GIOU, a.LARGER_IMAGES),
        "R3 duplicate": (a.FINER_SUPPRESSION,),
        "R3 background": (a.HARD_EXAMPLES, a.FOCAL, g.MOSAIC),
        "R3 missed": (a.LARGER_IMAGES, a.LOOSER_SUPPRESSION, d.LONGER),
        "R4": (a.BALANCED, a.EFFECTIVE_NUMBER, a.ADJUST_LOSS, a.FOCAL),
        "R5 small": (a.LARGER_IMAGES,),
        "R5 crowded": (a.SOFT_SUPPRESSION, a.LOOSER_SUPPRESSION),
        "R6": (a.ROI_ALIGN, a.BOX_GIOU, a.LARGER_IMAGES),
        "R7": (g.SMOOTHING, g.MIXUP),
        "R11 bias": (g.USUAL_IMAGES, d.LONGER, g.LARGER_MODEL, d.USUAL_RATE, g.LESS_AUGMENT),
        "R11 variance": (g.AUGMENT, g.RANDAUGMENT, g.SMOOTHING, d.DECAY_MORE, g.MIXUP, g.DROPOUT, g.SMALLER_MODEL),
        "R11 mixed": (g.AUGMENT, g.RANDAUGMENT, g.SMOOTHING, d.DECAY_MORE),
        "R11 mismatch": (g.RANDAUGMENT, a.NEUTRAL_COLOUR, a.STRETCH_LIGHT),
        "R12": (g.SMOOTHING,),
        "R15": (a.FINER_SUPPRESSION,),
        "R16": (a.LARGER_IMAGES, g.LARGER_MODEL),
        "R17": (a.SOFT_SUPPRESSION, a.LOOSER_SUPPRESSION),
        "R18 dark": (a.STRETCH_LIGHT, a.EVEN_LIGHT, g.RANDAUGMENT),
        "R18 bright": (a.STRETCH_LIGHT, g.RANDAUGMENT),
        "R18 flat": (a.EVEN_LIGHT, a.STRETCH_LIGHT),
        "R18 small": (a.LARGER_IMAGES,),
        "R20 class": (a.BALANCED_CROPS, a.EFFECTIVE_NUMBER, a.DICE),
        "R20 missed": (a.DICE, a.BALANCED_CROPS),
    }
)  # fmt: skip
# Findings that make figures untrue: they are mended in what is compared, treated and untreated alike.
APPLIED_FIRST: Mapping[str, str] = MappingProxyType(
    {
        "D11": "images of the measured splits were learned from",
        "D33 straddling": "copies of the measured images were learned from",
        "R1 copies": "copies of the measured images were learned from",
    }
)
# Findings of models that scatter: the trainings of all seeds, put together, are tried as one.
WITH_ENSEMBLE = ("T12", "T4", "D14", "D29", "R11 variance", "R7")


def remedies_of(finding: Finding) -> Remedies:
    """Return the treatments of a finding, the likeliest first; none where a machine has none."""
    own = PRESCRIBED if finding.treatment is not None else ()
    return (*own, *REMEDIES.get(f"{finding.code} {finding.message}", REMEDIES.get(finding.code, ())))
