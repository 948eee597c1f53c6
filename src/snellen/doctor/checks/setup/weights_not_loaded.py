"""weights-not-loaded (M18)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.learning_parameters import LearningParameters
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LEAST_MATCHED = 0.95  # share of the backbone's tensors; a backbone that fits its file has all of them


def judge(setup: Setup, learning: LearningParameters | None) -> Iterator[Finding]:
    """Yield a finding if training should start from weights and does not."""
    if setup.pretrained is None:
        raise NotCheckable(Text(en="it is not known whether training starts from weights; say so in Setup.pretrained",
                                zh="不知道训练是否从预训练权重开始；请在 Setup.pretrained 中说明"))  # fmt: skip
    if not setup.pretrained:
        return
    looks_trained = None if learning is None else learning.looks_trained
    if setup.weights_matched is None and looks_trained is None:
        raise NotCheckable(
            Text(
                en="neither the share of matched tensors is known, nor has the model norms that show it",
                zh="既不知道匹配的张量比例，模型也没有能反映这一点的归一化层",
            )
        )
    if setup.weights_matched is not None and setup.weights_matched < LEAST_MATCHED:
        yield Finding(
            level=Level.ERROR,
            message="few_matched" if setup.weights_matched > 0 else "none_matched",
            numbers={"percent": round(100 * setup.weights_matched)},
            measured=setup.weights_matched,
            limit=Limit(value=LEAST_MATCHED, unit="share", source="a backbone that fits its file has all of them"),
        )
    elif looks_trained is False:
        yield Finding(level=Level.ERROR, message="untouched_norms")


CHECK = Check(
    code="M18",
    name="weights-not-loaded",
    stage=Stage.SETUP,
    judge=judge,
    source="own criterion; torch's load_state_dict(strict=False) returns what it left out, and nobody reads it",
    pages={
        "en": Page(
            title="pretrained weights that did not arrive",
            finds="A training that should start from weights, and starts from random numbers, in part or altogether.",
            matters="Loading with strict=False ignores every tensor whose name differs ('module.', 'backbone.'). "
            "Training goes on without a word and gives the result of random weights.",
            measured="Share of the backbone's tensors that the file filled: less than 95 % is an error. Where that is "
            "not known: scale, shift, mean and variance of all norms are as they are built, which trained weights "
            "never are. A new head does not count.",
            false_alarms="A backbone that was meant to be loaded in part, such as with a changed first layer and "
            "several changed stages.",
            fix="Compare the names in the file with those of the model; strip prefixes; load with strict=True, or read "
            "what load_state_dict returns. In Snellen, choose the model that the file belongs to.",
            messages={
                "few_matched": "The weights filled {percent} % of the backbone's tensors; the rest is random.",
                "none_matched": "The weights filled none of the backbone's tensors: it is random.",
                "untouched_norms": "Training should start from weights, but every norm of the model is as it was "
                "built: scale 1, shift 0, mean 0, variance 1.",
            },
        ),
        "zh": Page(
            title="预训练权重没有真正加载",
            finds="本应从预训练权重开始的训练，实际上部分或全部从随机数开始。",
            matters="用 strict=False 加载会忽略所有名称不同的张量（“module.”、“backbone.”）。训练照常进行而没有任何提"
            "示，结果却等于从随机权重训练。",
            measured="权重文件填充的主干张量比例：低于 95 % 为错误。若比例未知：所有归一化层的缩放、偏移、均值和方差都"
            "还是构建时的值，而训练过的权重绝不会如此。新的分类头不计入。",
            false_alarms="有意只加载一部分的主干，例如改动了第一层和若干阶段。",
            fix="比较文件与模型中的名称；去掉前缀；用 strict=True 加载，或查看 load_state_dict 的返回值。"
            "在 Snellen 中，请选择与权重文件对应的模型。",
            messages={
                "few_matched": "权重只填充了主干张量的 {percent} %；其余是随机值。",
                "none_matched": "权重没有填充主干的任何张量：主干是随机的。",
                "untouched_norms": "训练本应从预训练权重开始，但模型的所有归一化层都还是构建时的值：缩放 1、偏移 0、均"
                "值 0、方差 1。",
            },
        ),
    },
)
