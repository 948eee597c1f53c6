"""fine-tuning-rate-too-high (M40)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.first_updates import FirstUpdates
from snellen.doctor.evidence.probes.learning_parameters import LearningParameters
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

FORGOTTEN = 0.4  # 1 - CKA; see the page
_DOWN = 10.0  # by which the rate is divided as a first treatment


def judge(updates: FirstUpdates, learning: LearningParameters | None, setup: Setup | None) -> Iterator[Finding]:
    """Yield a finding if the first steps change what pretrained features say."""
    told = None if setup is None else setup.pretrained
    pretrained = told if told is not None else (None if learning is None else learning.looks_trained)
    if pretrained is None:
        raise NotCheckable(Text(en="it is not known whether the weights are pretrained", zh="不知道权重是否经过预训练"))
    if not pretrained:
        return
    if updates.drift is None:
        raise NotCheckable(
            Text(en="the features before the last layer cannot be compared", zh="无法比较最后一层之前的特征")
        )
    if updates.drift > FORGOTTEN:
        yield Finding(
            level=Level.WARNING,
            numbers={"rate": f"{updates.rate:.2g}", "percent": round(100 * updates.drift)},
            measured=updates.drift,
            limit=Limit(value=FORGOTTEN, source="calibrated on MobileNetV2 and SqueezeNet at usual and too high rates"),
            treatment=Treatment(settings={"lr": float(f"{updates.rate / _DOWN:.2g}")}),
        )


CHECK = Check(
    code="M40",
    name="fine-tuning-rate-too-high",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-086",),
    caused_by=("M9", "M36", "M20", "M18"),
    source="Kornblith et al. 2019, https://arxiv.org/abs/1905.00414 (CKA); DX-086",
    pages={
        "en": Page(
            title="rate that wipes out pretrained features",
            finds="A fine-tuning whose first steps change what the pretrained network says about the images.",
            matters="Features that took a million images to learn are lost within a few steps and have to be learned "
            "again from the little data there is; the result is that of random weights.",
            measured="Features that the last layer reads, before and after up to five steps of the optimizer at the "
            "planned rate, of up to 16 samples, compared by linear CKA (1: the same up to scale and rotation). A "
            "warning if less than 0.6 is left.",
            false_alarms="Data so unlike those of the pretraining that the features have to change; a warm-up that no "
            "scheduler of torch does.",
            fix="Divide the rate by ten, warm up, train the new head alone first, or give the backbone a lower rate.",
            messages={
                "default": "Five steps at a rate of {rate} change {percent} % of what the pretrained features say "
                "(CKA)."
            },
        ),
        "zh": Page(
            title="学习率会抹掉预训练特征",
            finds="最初几步就改变了预训练网络对图像的表示的微调。",
            matters="用上百万张图像学到的特征在几步之内丢失，只能用很少的数据重新学习；结果与随机权重无异。",
            measured="用优化器按计划的学习率走至多五步，比较前后最后一层对至多 16 个样本读取的特征，用线性 CKA 衡量（"
            "1 表示除缩放和旋转外相同）。剩余不足 0.6 为警告。",
            false_alarms="与预训练数据差别极大、特征必须改变的数据；不由 torch 调度器完成的预热。",
            fix="学习率除以十，加预热，先只训练新的分类头，或给主干更低的学习率。",
            messages={"default": "学习率 {rate} 下走至多五步，预训练特征的表示改变了 {percent} %（CKA）。"},
        ),
    },
)
