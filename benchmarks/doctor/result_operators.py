"""Faults of results at three severities: what each does to a healthy run's answers, which checks may name it."""

from collections.abc import Callable
from dataclasses import dataclass

import box_answers as b
import class_answers as c
import common_answers as a
import map_answers as m
import numpy as np
from result_bases import Answered

Change = Callable[[Answered, int, np.random.Generator], Answered]
IMAGES = ("digits", "objects", "two kinds")
MANY = ("digits", "objects")
BOXES = ("blood", "walkers", "things")
MAPS = ("roads", "horses")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        name: Of it.
        codes: Of the checks that may be called its cause, some with one of their messages only.
        change: What it does to a run, by severity.
        bases: That it is planted in; beside them it is planted in kept runs of the same kind.
        harm: What it does: ``figure`` lowers it, ``untrue`` makes it flatter or speak of something else, ``trust``
            leaves it alone and takes from what it is worth. Only of the first is asked how much.
        everywhere: Whether it befalls the answers for all splits, not only those that are looked at.
    """

    name: str
    codes: tuple[str, ...]
    change: Change
    bases: tuple[str, ...]
    harm: str = "figure"
    everywhere: bool = True


FAULTS: tuple[Fault, ...] = (
    # of any kind
    Fault(name="answers of other images", codes=("R22", "R2"), change=a.of_other_images, bases=IMAGES + BOXES + MAPS),
    Fault(name="figure of another split", codes=("R10 figures",), change=a.other_figure, bases=IMAGES + BOXES + MAPS,
          harm="untrue", everywhere=False),
    Fault(name="tuned on validation", codes=("R11 dev", "R11 dev_too"), change=a.tuned_on_validation, bases=(*IMAGES,
          "blood"), everywhere=False),
    Fault(name="training images in the test", codes=("R10 train_images", "R1"), change=a.leaked,
          bases=IMAGES + BOXES[:2] + MAPS, harm="untrue", everywhere=False),
    Fault(name="copies of training images in the test", codes=("R1",), change=a.copied, bases=("objects", "blood"),
          harm="untrue", everywhere=False),
    Fault(name="few images", codes=("R21",), change=a.few_images, bases=IMAGES, harm="trust", everywhere=False),
    # classes of images
    Fault(name="classes in another order", codes=("R22",), change=c.other_order, bases=MANY),
    Fault(name="labels counted from one", codes=("R22",), change=c.counted_from_one, bases=MANY),
    Fault(name="two classes exchanged", codes=("R22", "R2"), change=c.exchanged, bases=("two kinds",)),
    Fault(name="too sure", codes=("R7",), change=c.too_sure, bases=IMAGES, harm="trust"),
    Fault(name="too unsure", codes=("R7",), change=c.too_unsure, bases=MANY, harm="trust"),
    Fault(name="confidence without meaning", codes=("R7",), change=c.meaningless, bases=MANY, harm="trust"),
    Fault(name="threshold in the wrong place", codes=("R19", "R4", "R16"), change=c.threshold, bases=("two kinds",)),
    Fault(name="classes never named", codes=("R4",), change=c.never_named, bases=MANY),
    Fault(name="mostly one answer", codes=("R2", "R4"), change=c.one_answer, bases=MANY),
    Fault(name="two classes mixed up", codes=("R16",), change=c.mixed_up, bases=MANY),
    Fault(name="learned by heart", codes=("R11 mixed", "R11 variance"), change=c.by_heart, bases=MANY,
          everywhere=False),
    Fault(name="fails on dark images", codes=("R18",), change=c.dark_fail, bases=("objects",)),
    Fault(name="wrong labels in the test", codes=("R12",), change=c.wrong_labels, bases=("digits",), harm="untrue"),
    Fault(name="depends on the batch", codes=("R9",), change=c.batch_dependent, bases=("objects",),
          harm="trust", everywhere=False),
    Fault(name="export sees other images", codes=("R8",), change=c.export_differs, bases=("objects",),
          harm="trust", everywhere=False),
    Fault(name="not recorded", codes=("R14",), change=a.not_recorded, bases=("digits",), harm="trust",
          everywhere=False),
    # boxes
    Fault(name="boxes not brought back to the file", codes=("R22",), change=b.not_scaled_back, bases=BOXES),
    Fault(name="boxes at one wrong scale", codes=("R22",), change=b.wrong_scale, bases=BOXES),
    Fault(name="corners taken for sizes", codes=("R22",), change=b.wrong_format, bases=BOXES),
    Fault(name="axes or sides exchanged", codes=("R22",), change=b.wrong_axes, bases=BOXES),
    Fault(name="border not taken off", codes=("R22",), change=b.border_left, bases=BOXES),
    Fault(name="boxes moved", codes=("R23", "R22", "R6"), change=b.moved, bases=BOXES),
    Fault(name="boxes too large", codes=("R23", "R22", "R6"), change=b.too_large, bases=BOXES),
    Fault(name="boxes loose", codes=("R6", "R3 place"), change=b.loose, bases=BOXES),
    Fault(name="classes of boxes in another order", codes=("R22",), change=b.other_order, bases=("blood", "things")),
    Fault(name="nothing suppressed", codes=("R15", "R3 duplicate"), change=b.not_suppressed, bases=BOXES),
    Fault(name="neighbours suppressed", codes=("R17", "R5 crowded"), change=b.neighbours_lost, bases=("blood",
          "walkers")),
    Fault(name="small objects missed", codes=("R5 small",), change=b.small_missed, bases=BOXES),
    Fault(name="class never found", codes=("R4",), change=b.class_lost, bases=("blood",)),
    Fault(name="scores without meaning", codes=("R7",), change=b.meaningless, bases=BOXES),
    Fault(name="scores too low", codes=("R19", "R7"), change=b.low_scores, bases=BOXES, harm="trust"),
    Fault(name="cut off", codes=("R10 cut",), change=b.cut_off, bases=("blood", "things")),
    Fault(name="kept from a high score", codes=("R10 floor",), change=b.floored, bases=BOXES),
    Fault(name="truths among the boxes", codes=("R10 truths",), change=b.truths_given, bases=BOXES, harm="untrue"),
    # A sure box where nothing is annotated is one on nothing, or an annotation that is missing: R12 lists them.
    Fault(name="boxes on nothing", codes=("R3 background", "R19 lax", "R12"), change=b.on_nothing, bases=BOXES),
    Fault(name="objects missed", codes=("R3 missed",), change=b.missed, bases=BOXES),
    Fault(name="boxes of wrong classes", codes=("R3 class",), change=b.wrong_class, bases=("blood", "things")),
    Fault(name="nothing found in dark images", codes=("R18",), change=b.dark_fail, bases=("blood", "things")),
    Fault(name="wrong labels of objects", codes=("R12",), change=b.wrong_labels, bases=("blood", "things"),
          harm="untrue"),
    # maps
    Fault(name="classes of maps in another order", codes=("R22",), change=m.other_order, bases=MAPS),
    Fault(name="maps moved", codes=("R23", "R22"), change=m.moved, bases=MAPS),
    Fault(name="maps turned", codes=("R22",), change=m.turned, bases=MAPS),
    Fault(name="borders blunt", codes=("R20 boundary",), change=m.blunt, bases=MAPS),
    Fault(name="things missed", codes=("R20 missed", "R20 class", "R4"), change=m.missed, bases=MAPS),
    Fault(name="things invented", codes=("R20 invented", "R20 class"), change=m.invented, bases=MAPS),
    Fault(name="class never painted", codes=("R4",), change=m.class_lost, bases=("roads",)),
    Fault(name="one class everywhere", codes=("R2",), change=m.one_class, bases=MAPS),
    Fault(name="void counted", codes=("R10 figures",), change=m.void_counted, bases=("roads",), harm="untrue",
          everywhere=False),
)  # fmt: skip
