"""not-reproducible (R14)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.results.evaluated import RunFiles
from snellen.doctor.finding import Finding, Level, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

NEEDED = ("model", "data", "fingerprint", "settings.seed", "environment.torch", "environment.command")


def judge(files: RunFiles) -> Iterator[Finding]:
    """Yield a finding if a run cannot be done again: its record lacks something, or its data have changed."""
    if not files.record:
        raise NotCheckable(Text(en="there is no record of the run", zh="没有运行的记录"))
    missing = [name for name in NEEDED if not _has(files, name)]
    if missing:
        yield Finding(
            level=Level.WARNING,
            message="missing",
            numbers={"missing": ", ".join(missing)},
            places=tuple(Place(kind="setting", name=name) for name in missing),
            num_places=len(missing),
        )
    recorded = files.record.get("fingerprint")
    if recorded and files.index.fingerprint() != recorded:
        yield Finding(
            level=Level.WARNING,
            message="changed",
            numbers={"then": str(recorded), "now": files.index.fingerprint(), "images": len(files.index)},
        )


def _has(files: RunFiles, name: str) -> bool:
    value: object = files.record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value is not None and value != ""


CHECK = Check(
    code="R14",
    name="not-reproducible",
    stage=Stage.RESULTS,
    judge=judge,
    source="Pineau et al. 2021, Improving reproducibility in machine learning research (checklist)",
    pages={
        "en": Page(
            title="a result that cannot be had again",
            finds="Runs whose record lacks what is needed to repeat them, and runs whose data set is no longer what "
            "it was.",
            matters="A figure that nobody can have again is an anecdote, and later figures on changed data cannot be "
            "compared with it.",
            measured="The record names model, data, fingerprint of the data, seed, version of torch and command. The "
            "fingerprint (names, sizes, splits and annotations; not the pixels) of the data now is that of then.",
            false_alarms="Data that were mended on purpose: then train anew, and compare from there on.",
            fix="Restore the data as they were, or train anew on what is there; keep versions of a data set in "
            "folders of their own.",
            messages={
                "missing": "The record of the run lacks {missing}.",
                "changed": "The data set is not what it was when the run was trained: its fingerprint was {then} and "
                "is {now} ({images} images now).",
            },
        ),
        "zh": Page(
            title="无法重现的结果",
            finds="记录中缺少重复所需信息的运行，以及数据集已不是当时样子的运行。",
            matters="谁也无法再得到的数字只是轶事，而在改动过的数据上得到的新数字无法与之比较。",
            measured="记录包含模型、数据、数据指纹、随机种子、torch 版本和命令。现在数据的指纹（名称、尺寸、划分和标注"
            "，不含像素）与当时相同。",
            false_alarms="有意修正的数据：那就重新训练，并从那里开始比较。",
            fix="恢复当时的数据，或在现有数据上重新训练；把数据集的各个版本放在各自的文件夹中。",
            messages={
                "missing": "运行的记录缺少 {missing}。",
                "changed": "数据集已不是训练时的样子：指纹当时为 {then}，现在为 {now}（现有 {images} 张图像）。",
            },
        ),
    },
)
