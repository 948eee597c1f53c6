"""Curves as the templates show them, with a legend and what a reader must know of what is not drawn."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from markupsafe import Markup

from snellen.doctor import Language, Text
from snellen.report.phrases import phrase
from snellen.report.svg import MAX_COLORED, MAX_SERIES, line_chart
from snellen.structures import Curve

__all__ = ["CURVE_WORDS", "PlotView", "plot_view", "worded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotView:
    """A chart with its title, legend and note."""

    title: str
    svg: Markup
    legend: tuple[str, ...] = ()
    note: str = ""


def plot_view(curve: Curve, language: Language = "en") -> PlotView:
    """Return a curve as a chart."""
    notes = [curve.note] if curve.note else []
    holes = sum(not math.isfinite(y) for series in curve.series for y in series.y)
    if holes:
        notes.append(phrase("a hole" if holes == 1 else "holes", language, count=f"{holes:,}"))
    if len(curve.series) > MAX_COLORED:
        rest = len(curve.series) - MAX_SERIES
        words = "coloured in part" if rest > 0 else "coloured"
        notes.append(phrase(words, language, shown=MAX_COLORED, count=f"{len(curve.series):,}", rest=f"{rest:,}"))
    return PlotView(
        title=curve.title,
        svg=line_chart(curve),
        legend=tuple(series.name for series in curve.series[:MAX_COLORED]),
        note=" ".join(notes),
    )


def worded(curve: Curve, language: Language) -> Curve:
    """Return a curve of a finding with its words in a language; names that no table knows stay as they are."""
    if language == "en":
        return curve

    def say(words: str) -> str:
        first, mark, rest = words.partition(": ")
        if mark and first in CURVE_WORDS:
            return f"{CURVE_WORDS[first](language)}：{rest}"
        return CURVE_WORDS[words](language) if words in CURVE_WORDS else words

    return replace(
        curve,
        title=say(curve.title),
        x_label=say(curve.x_label),
        y_label=say(curve.y_label),
        series=tuple(replace(series, name=say(series.name)) for series in curve.series),
    )


CURVE_WORDS: Mapping[str, Text] = {
    words.en: words
    for words in (
        Text(en="Agreement of successive gradients", zh="相邻两步梯度的一致性"),
        Text(en="Change of weights in a step, over their size", zh="每步权重变化与权重大小之比"),
        Text(en="First choices", zh="首选类别"),
        Text(en="Held-out score", zh="留出数据的分数"),
        Text(en="Images of a step", zh="每步图像数"),
        Text(en="Learning rate", zh="学习率"),
        Text(en="Loss", zh="损失"),
        Text(en="Memory", zh="内存"),
        Text(en="Norms: evaluation against training", zh="归一化层：评估与训练之差"),
        Text(en="Outputs close to their bounds", zh="接近边界的输出"),
        Text(en="Size of outputs", zh="输出大小"),
        Text(en="Size of the gradient", zh="梯度大小"),
        Text(en="Size of weights", zh="权重大小"),
        Text(en="Spread over units", zh="单元间的散布"),
        Text(en="Spread over images", zh="图像间的散布"),
        Text(en="Terms of the loss", zh="损失各项"),
        Text(en="Time of a step", zh="每步耗时"),
        Text(en="Units that never fire", zh="从不激活的单元"),
        Text(en="all", zh="全部"),
        Text(en="cosine", zh="余弦"),
        Text(en="held", zh="占用"),
        Text(en="held out", zh="留出"),
        Text(en="images", zh="图像"),
        Text(en="learning rate", zh="学习率"),
        Text(en="least", zh="最小"),
        Text(en="log10 of share", zh="占比的 log10"),
        Text(en="log10 of size", zh="大小的 log10"),
        Text(en="loss", zh="损失"),
        Text(en="most", zh="最大"),
        Text(en="not finite", zh="非有限值"),
        Text(en="root mean square", zh="均方根"),
        Text(en="score", zh="分数"),
        Text(en="share", zh="占比"),
        Text(en="share of size", zh="与大小之比"),
        Text(en="units of the output", zh="输出的单位"),
        Text(en="size", zh="大小"),
        Text(en="spreads", zh="标准差"),
        Text(en="step", zh="步"),
        Text(en="training", zh="训练"),
        Text(en="usual weight", zh="一般权重"),
        Text(en="waiting for data", zh="等待数据"),
        Text(en="whole step", zh="整步"),
    )
}
