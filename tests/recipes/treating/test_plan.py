"""What is tried for which finding, in which order."""

import pytest

from snellen.data import ObjectRepair, Repairs
from snellen.doctor import Finding, Level, Treatment
from snellen.recipes.treating.plan import joined_repairs, planned


def finding(code: str, message: str = "default", **settings) -> Finding:
    own = Treatment(settings=settings) if settings else None
    return Finding(code=code, level=Level.WARNING, message=message, treatment=own)


@pytest.fixture(scope="module")
def run(situation):
    return situation("classes", "resnet18")


def test_the_first_treatment_of_each_finding_comes_before_the_second_of_any(run):
    plan = planned(run, [finding("D13"), finding("T12", patience=5), finding("T3", lr=0.1)], most=50)
    names = [one.name for one in plan.tries]
    assert names[:3] == ["show all classes equally often", "patience 5", "lr 0.1"]
    assert names[3:6] == ["weigh classes by their effective number", "stronger augmentation", "a tenth of the rate"]
    assert plan.wants_ensemble
    assert not plan.for_people


def test_equal_treatments_are_one_for_both_findings(run):
    plan = planned(run, [finding("D13"), finding("R4")], most=50)
    both = next(one for one in plan.tries if one.name == "show all classes equally often")
    assert [one.code for one in both.findings] == ["D13", "R4"]
    assert len({one.name for one in plan.tries}) == len(plan.tries)


def test_the_number_is_limited_and_told(run):
    plan = planned(run, [finding("D13")], most=2)
    assert len(plan.tries) == 2
    assert len(plan.left_out) >= 4


def test_settings_of_use_need_no_training(situation):
    boxes = situation("boxes", "faster_rcnn_r18_fpn")
    plan = planned(boxes, [finding("R17", model_options={"settings.selection.suppression": "soft_gaussian"}),
                           finding("D19", "tiny", image_size=96)], most=50)  # fmt: skip
    arms = {one.name: one.arm for one in plan.tries}
    soft = arms["settings.selection.suppression soft_gaussian"]
    assert soft.switches == {"settings.selection.suppression": "soft_gaussian"}
    assert not soft.options
    assert arms["image_size 96"].options == {"image_size": 96}
    assert not any(one.arm.options.keys() & soft.switches.keys() for one in plan.tries)


def test_treatments_of_one_option_have_one_job(run):
    plan = planned(run, [finding("T3", lr=0.1)], most=50)
    by_name = {one.name: one for one in plan.tries}
    assert by_name["lr 0.1"].jobs & by_name["a tenth of the rate"].jobs == {"lr"}


def test_what_has_no_treatment_is_left_to_people(situation):
    run = situation("masks", "unet_resnet18")
    mended_by_hand = Finding(code="M19", level=Level.WARNING, message="mask",
                             numbers=dict.fromkeys(_numbers("M19", "mask"), 1))  # fmt: skip
    plan = planned(run, [mended_by_hand], most=5)
    assert not plan.tries
    assert plan.for_people[0].code == "M19"
    assert plan.for_people[0].fix


def _numbers(code: str, message: str) -> set[str]:
    import string

    from snellen.doctor import find_check

    page = find_check(code).pages["en"]
    texts = (page.messages[message], page.fixes.get(message, page.fix))
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}


def test_repairs_add_up():
    one = Repairs(drop=("a", "b"), labels={"c": "x"}, objects=(ObjectRepair(image="d", box=(0, 0, 1, 1), label="x"),))
    other = Repairs(drop=("b", "e"), labels={"c": "y"}, objects=(ObjectRepair(image="d", box=(0, 0, 1, 1)),))
    both = joined_repairs(one, other)
    assert both.drop == ("a", "b", "e")
    assert both.labels == {"c": "y"}
    assert both.objects == other.objects
