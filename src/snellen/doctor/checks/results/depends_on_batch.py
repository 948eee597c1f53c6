"""depends-on-batch (R9)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.predictions import need
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.parity import RepeatedPredictions
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

NEARLY = {"fp32": 1e-3, "bf16": 0.05}  # of the predictions' size
FAR = 0.1
LEAST_SHARE = 0.1  # of the images


def judge(run: EvaluatedRun, repeated: RepeatedPredictions) -> Iterator[Finding]:
    """Yield a finding if images that are predicted alone come out otherwise than they did among others."""
    need(repeated.num_images, 2, "images", "张图像")
    settings = run.record.get("settings") or {}
    limit = NEARLY.get(str(settings.get("precision")), NEARLY["fp32"])
    ranked = sorted(repeated.differences.items(), key=lambda row: -row[1])
    apart = [row for row in ranked if row[1] > limit]
    if len(apart) < LEAST_SHARE * repeated.num_images:
        return
    yield Finding(
        level=Level.ERROR if apart[0][1] > FAR else Level.WARNING,
        numbers={"count": len(apart), "total": repeated.num_images, "largest": f"{apart[0][1]:.2g}"},
        measured=apart[0][1],
        limit=Limit(value=limit, unit="of the prediction", source="float32 in another order; bfloat16 has 8 bits"),
        places=tuple(Place(kind="image", name=name, note=f"{gap:.2g}", score=gap) for name, gap in apart[:50]),
        num_places=len(apart),
    )


CHECK = Check(
    code="R9",
    name="depends-on-batch",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-026",),
    source="torchtest2 (determinism in evaluation); DX-026",
    pages={
        "en": Page(
            title="predictions that depend on the batch",
            finds="Images whose prediction changes when they are predicted alone and in another order, or by the "
            "weights as they are now.",
            matters="Then a figure depends on how images were batched, and what is predicted in use is not what was "
            "measured.",
            measured="Up to 16 of the measured images, predicted one by one in the opposite order, beside what lies "
            "on disk: the largest difference over the size of the prediction. From 0.001 on (bfloat16: 0.05) in a "
            "tenth of the images a warning, above 0.1 an error.",
            false_alarms="Detections at the edge of a threshold appear and vanish with the last bit: they are why a "
            "tenth of the images must differ.",
            fix="See whether norms are in training mode, whether padding of a batch reaches what is predicted, and "
            "whether weights were changed after measuring (snellen eval RUN measures anew).",
            messages={
                "default": "{count} of {total} images come out otherwise when they are predicted alone, by up to "
                "{largest} of the prediction.",
            },
        ),
        "zh": Page(
            title="预测取决于批次",
            finds="单独预测、换顺序预测或用现有权重预测时结果改变的图像。",
            matters="这样指标取决于图像如何分批，而使用时的预测不是所测量的。",
            measured="最多 16 张被测图像，按相反顺序逐张预测，与磁盘上的结果比较：最大差异与预测大小之比。十分之一的图"
            "像达到 0.001（bfloat16：0.05）为警告，超过 0.1 为错误。",
            false_alarms="处于阈值边缘的检测会因最后一位而出现或消失：因此要求十分之一的图像不同。",
            fix="检查归一化层是否处于训练模式、批次填充是否影响预测、测量后权重是否改变（snellen eval RUN 重新测量）。",
            messages={
                "default": "{total} 张图像中有 {count} 张单独预测时结果不同，最多相差预测的 {largest}。",
            },
        ),
    },
)
