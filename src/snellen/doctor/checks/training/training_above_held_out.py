"""training-above-held-out (T30)."""

import re
from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.watching.outcome import Learning, Outcome, held_out_losses
from snellen.doctor.watching.showing import loss_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

ABOVE = 0.03  # of the training loss, by which it is above the held-out one
SURE = 3.0  # standard errors of the mean training loss
LEAST_WINDOW = 20  # steps before a validation whose loss is compared with it
_SOURCE = "healthy trainings of small nets; DeepCrime's operator change_labels (TCL)"
# Options of a plan, and of its model, that make the images that are learned from harder or count otherwise.
_HARDER = ("mosaic", "mixup", "copy_paste", "cutmix", "erase", "balanced_crops", "noise", "multi_scale")
_OTHERWISE = re.compile(r"loss|weight|smooth|drop|depth|auxiliary|supervision|band", re.IGNORECASE)


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if images that are learned from are answered worse than held-out ones."""
    losses = [row for row in held_out_losses(trace) if re.fullmatch(r"(\w*[_/])?loss", row.name)]
    if not losses:
        raise NotCheckable(
            Text(
                en="no held-out loss was told: in a loop of your own tell validated(loss=…)",
                zh="没有得到留出损失：在自己的循环中请调用 validated(loss=…)",
            )
        )
    if learning.outcome == Outcome.EARLY or _is_harder_by_plan(trace):
        return
    held_out, step = float(losses[0].values[-1]), float(losses[0].steps[-1])
    values = learning.values[learning.steps <= step]
    if len(values) < 2 * LEAST_WINDOW or held_out <= 0:
        return
    window = values[-max(LEAST_WINDOW, len(values) // 10) :]
    places = np.arange(len(window))
    slope = min(float(np.polyfit(places, window, 1)[0]), 0.0)
    train = float(window.mean()) + slope * len(window) / 2  # where the loss is at the end, if it still falls
    error = float(window.std()) / len(window) ** 0.5
    share = (train - held_out) / train if train > 0 else 0.0
    if share > ABOVE and train - held_out > SURE * error:
        yield Finding(
            level=Level.INFO,
            numbers={
                "train": f"{train:.3g}",
                "held_out": f"{held_out:.3g}",
                "percent": f"{100 * (train / held_out - 1):.0f}",
            },
            measured=share,
            limit=Limit(value=ABOVE, unit="share", source=_SOURCE),
        )


def _is_harder_by_plan(trace: Trace) -> bool:
    """Return whether it is known that the images that are learned from are made harder, or drawn otherwise."""
    plan = trace.plan or {}
    options = plan.get("options") or {}
    is_drawn_otherwise = plan.get("sampler") not in (None, "shuffled", "sequential")
    is_harder = plan.get("augment") or any(options.get(name) for name in _HARDER)
    return bool(is_harder or is_drawn_otherwise or _OTHERWISE.search(options.get("model_options") or ""))


CHECK = Check(
    code="T30",
    name="training-above-held-out",
    stage=Stage.TRAINING,
    judge=judge,
    curves=loss_curves,
    covers=(),
    caused_by=("T1", "T26", "T27", "T25", "T11", "T24", "T20", "T21"),
    source="DeepCrime's operator change_labels (TCL), Humbatova et al. 2021; random labels: Zhang et al. 2017",
    pages={
        "en": Page(
            title="training images are answered worse than held-out ones",
            finds="A training loss that stays above the held-out loss.",
            matters="A network knows the images that it learns from better than others. Where it does not, they are "
            "harder: some of their labels are wrong, which sets a floor under the loss; or they are made harder on "
            "purpose; or the held-out images are easy, or copies of training images.",
            measured="Mean training loss of the last tenth of the steps (20 at least) before the last validation, led "
            "on to its end where it still falls, above the held-out loss by 3 % and by three standard errors. Not "
            "judged where the plan says that training images are augmented, mixed, weighted or drawn otherwise, and "
            "early in a training. Told only.",
            false_alarms="Augmentation, mixup, smoothed labels, dropout or stochastic depth, which a loop of your own "
            "does not tell; a held-out loss of averaged weights; classes that are weighted in training alone.",
            fix="If training is not made harder on purpose, look at the labels: snellen check DATA --weights FILE "
            "ranks those that are probably wrong (D16, D17), and snellen treat drops or replaces them and measures "
            "what that brings. Look for copies of training images among the held-out ones (D11).",
            messages={
                "default": "The loss of training images stays at {train}, {percent} % above that of held-out ones "
                "({held_out}): some of their labels are wrong, or training is made harder (augmentation, mixing, "
                "smoothing, dropout).",
            },
        ),
        "zh": Page(
            title="训练图像比留出图像答得更差",
            finds="训练损失一直高于留出损失。",
            matters="网络对学过的图像应比对其他图像更熟悉。若不是这样，说明训练图像更难：部分标签有误，给损失设了下限；"
            "或者有意把它们变难；或者留出图像太容易，甚至是训练图像的副本。",
            measured="最后一次验证之前最后十分之一的步（至少 20 步）的平均训练损失，若仍在下降则外推到末尾，"
            "高出留出损失 3% 且超过三个标准误。计划写明训练图像有增强、混合、加权或另行抽样时，以及训练初期，不作判断。"
            "只提示。",
            false_alarms="自己的循环中没有说明的增强、mixup、标签平滑、dropout 或随机深度；用平均权重测得的留出损失；"
            "只在训练中加权的类别。",
            fix="如果没有有意把训练变难，请检查标签：snellen check DATA --weights FILE 会列出最可能有误的标签"
            "（D16、D17），snellen treat 会去掉或替换它们并测量效果。并查看留出图像中是否有训练图像的副本（D11）。",
            messages={
                "default": "训练图像的损失停在 {train}，比留出图像（{held_out}）高 {percent}%：部分标签有误，"
                "或者训练被有意变难（增强、混合、平滑、dropout）。",
            },
        ),
    },
)
