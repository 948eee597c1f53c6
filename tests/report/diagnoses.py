"""Diagnoses to show: one of everything, two hundred findings, checks that broke."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from snellen.data import ClassTable, DatasetIndex
from snellen.data.sharing import Strings
from snellen.doctor import (
    Check,
    CheckResult,
    Diagnosis,
    Finding,
    Level,
    Limit,
    Page,
    Place,
    Stage,
    Status,
    Text,
    Treatment,
    find_check,
)


def made_check(code: str, **words: str) -> Check:
    """Return a check that is in no catalogue."""
    texts = {name: f"{name} of {code}" for name in ("title", "finds", "matters", "measured", "false_alarms", "fix")}
    page = Page(**{**texts, **words}, messages={"default": "{what} is wrong, says " + code})
    return Check(
        code=code,
        name=f"fault-{code.lower()}",
        stage=Stage.DATA,
        judge=lambda: (),
        pages={"en": page, "zh": page},
        source="nobody",
    )


def made_finding(
    code: str = "X1", level: Level = Level.WARNING, what: str = "it", places: Iterable[Place] = (), **rest
) -> Finding:
    """Return a finding of a check that `made_check` makes."""
    listed = tuple(places)
    return Finding(
        **{"code": code, "level": level, "numbers": {"what": what}, "places": listed, "num_places": len(listed), **rest}
    )


def imbalance(name: str = "dog", **changes) -> Finding:
    """Return a finding of a check that is in the catalogue, with everything in it."""
    return Finding(
        **{
            "code": "D13",
            "level": Level.WARNING,
            "numbers": {"ratio": float("inf"), "largest": "cat", "most": 60, "smallest": name, "least": 1},
            "measured": 60.5,
            "limit": Limit(value=50.0, unit="times", source="datumaro, ImbalancedLabels"),
            "places": (
                Place(kind="class", name=name, note="1", score=-1.0),
                Place(kind="file", name="labels/猫.txt", line=7),
                Place(kind="image", name="a.png", boxes=((1.0, 2.0, 30.0, 40.0),), twin="b.png"),
            ),
            "num_places": 20,
            "treatment": Treatment(settings={"sampler": "repeat_factor"}, drop_images=("a.png",), data={"keep": [1]}),
            "unchecked": Text(en="the test images", zh="测试图像"),
            **changes,
        }
    )


def whole() -> Diagnosis:
    """Return a diagnosis with checks of the catalogue that ended in every way."""
    others = [find_check(code) for code in ("M1", "M4", "M5", "M6")]
    follower = Finding(code="M6", level=Level.INFO, message=next(iter(others[3].pages["en"].messages)))
    numbers = {name: 1 for text in others[3].pages["en"].messages.values() for name in _names(text)}
    return Diagnosis(
        results=(
            CheckResult(check=find_check("D13"), status=Status.FOUND, findings=(imbalance(),), seconds=0.25),
            CheckResult(check=others[0], status=Status.PASSED),
            CheckResult(check=others[1], status=Status.NOT_CHECKABLE, reason=Text(en="no model", zh="没有模型")),
            CheckResult(check=others[2], status=Status.CRASHED, trace="Traceback\nValueError: two pots"),
            CheckResult(
                check=others[3],
                status=Status.FOUND,
                findings=(Finding(code="M6", level=Level.INFO, message=follower.message, numbers=numbers,
                                  explained_by="D13"),),
            ),
        ),
        accepted=(imbalance("bird", level=Level.INFO),),
    )  # fmt: skip


def _names(text: str) -> list[str]:
    import string

    return [name for _, name, _, _ in string.Formatter().parse(text) if name]


def only(*findings: Finding, **words: str) -> Diagnosis:
    """Return a diagnosis of checks that are in no catalogue, one for each code."""
    codes = dict.fromkeys(finding.code for finding in findings)
    results = tuple(
        CheckResult(
            check=made_check(code, **words),
            status=Status.FOUND,
            findings=tuple(finding for finding in findings if finding.code == code),
        )
        for code in codes
    )
    return Diagnosis(results=results)


def photographs(folder, count: int, size: tuple[int, int] = (640, 480)) -> DatasetIndex:
    """Write noisy images, which no format makes small, and return their index."""
    rng = np.random.default_rng(0)
    names = [f"{number}.jpg" for number in range(count)]
    for name in names:
        coarse = rng.integers(0, 255, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size).save(folder / name, quality=90)
    return DatasetIndex(
        root=folder,
        format="folders",
        classes=("cat", "狗"),
        paths=Strings.pack(names),
        annotations=ClassTable(labels=np.arange(count, dtype=np.int32) % 2),
        sizes=np.full((count, 2), size[::-1], np.int32),
        splits=np.full(count, -1, np.int16),
    )
