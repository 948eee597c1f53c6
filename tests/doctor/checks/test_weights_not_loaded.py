"""M18."""

import pytest
from torch.nn import functional

import snellen
from snellen.doctor import Evidence, Status, diagnose, find_check
from snellen.doctor.evidence.setup import Setup


@pytest.mark.parametrize(("matched", "expected"), [
    (1.0, []), (0.95, []), (0.6, ["ERROR few_matched"]), (0.0, ["ERROR none_matched"]),
])  # fmt: skip
def test_share_of_the_backbone(matched: float, expected: list[str]) -> None:
    found = diagnose(Evidence([Setup(pretrained=True, weights_matched=matched)]), [find_check("M18")]).findings
    assert [f"{finding.level.name} {finding.message}" for finding in found] == expected


def test_says_how_much_arrived() -> None:
    (finding,) = diagnose(Evidence([Setup(pretrained=True, weights_matched=0.25)]), [find_check("M18")]).findings
    assert find_check("M18").pages["en"].message(finding) == (
        "The weights filled 25 % of the backbone's tensors; the rest is random."
    )


def examined(model, labelled, *, pretrained: bool | None) -> list[str]:
    plan = None if pretrained is None else Setup(pretrained=pretrained)
    found = snellen.examine(model, labelled, functional.cross_entropy, setup=plan, select=("M18",)).results[0]
    return [finding.message for finding in found.findings] if found.status != Status.NOT_CHECKABLE else ["?"]


def test_norms_of_anybodys_model_show_it(small_net, labelled) -> None:
    model = small_net()
    assert examined(model, labelled, pretrained=True) == ["untouched_norms"]
    assert examined(model, labelled, pretrained=False) == []
    assert examined(model, labelled, pretrained=None) == ["?"]
    model.train()
    model(labelled[0])  # the norm has seen images
    assert examined(model, labelled, pretrained=True) == []
