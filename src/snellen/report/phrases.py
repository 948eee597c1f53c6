"""The words around a diagnosis, in every language; what the checks say stands in their pages."""

from collections import Counter
from collections.abc import Mapping

from snellen.doctor import CheckResult, Diagnosis, Finding, Language, Level, Limit, Status, Text
from snellen.report.formatting import number_text

__all__ = [
    "LEVELS",
    "OUTCOMES",
    "PHRASES",
    "counted_levels",
    "labelled",
    "limit_text",
    "measured_text",
    "outcome",
    "page_words",
    "phrase",
    "summary_line",
]

LEVELS: Mapping[Level, Text] = {
    Level.ERROR: Text(en="error", zh="错误"),
    Level.WARNING: Text(en="warning", zh="警告"),
    Level.INFO: Text(en="info", zh="提示"),
}
_MANY: Mapping[Level, Text] = {
    Level.ERROR: Text(en="errors", zh="错误"),
    Level.WARNING: Text(en="warnings", zh="警告"),
    Level.INFO: Text(en="infos", zh="提示"),
}
_LIMITS: Mapping[Level, Text] = {
    Level.ERROR: Text(en="an error from", zh="错误界限"),
    Level.WARNING: Text(en="a warning from", zh="警告界限"),
    Level.INFO: Text(en="an info from", zh="提示界限"),
}
OUTCOMES: Mapping[str, Text] = {
    "found": Text(en="found", zh="发现问题"),
    "passed": Text(en="passed", zh="通过"),
    "not checkable": Text(en="not checkable", zh="无法检查"),
    "crashed": Text(en="crashed", zh="检查出错"),
    "accepted": Text(en="accepted", zh="已接受"),
}
PHRASES: Mapping[str, Text] = {
    "a hole": Text(en="1 value is not finite and leaves a gap.", zh="有 1 个非有限值，留下一处空缺。"),
    "about": Text(en="About this check", zh="关于这项检查"),
    "accepted before": Text(en="Accepted before", zh="此前已接受"),
    "accepted by the baseline": Text(en="accepted by the baseline", zh="已被基线接受"),
    "all checks": Text(en="All checks", zh="全部检查"),
    "and more": Text(en="and {count} more", zh="另有 {count} 处"),
    "check": Text(en="check", zh="检查"),
    "checks": Text(en="{count} checks", zh="共 {count} 项检查"),
    "classes": Text(en="{count} classes", zh="{count} 个类别"),
    "code": Text(en="code", zh="代号"),
    "coloured": Text(en="The first {shown} of {count} lines have a colour.", zh="{count} 条线中前 {shown} 条有颜色。"),
    "coloured in part": Text(
        en="The first {shown} of {count} lines have a colour; {rest} are not drawn.",
        zh="{count} 条线中前 {shown} 条有颜色，{rest} 条没有画出。",
    ),
    "consequences": Text(en="explains", zh="由此引起"),
    "counted findings": Text(en="findings", zh="问题"),
    "covers": Text(en="Diagnoses", zh="诊断编号"),
    "crash": Text(
        en="This check broke, which is a fault of Snellen; nothing is known about what it looks for.",
        zh="这项检查自身出错，是 Snellen 的缺陷；它要找的问题是否存在尚不清楚。",
    ),
    "data": Text(en="data", zh="数据"),
    "done": Text(en="what is found", zh="发现的内容"),
    "false alarms": Text(en="Known false alarms", zh="已知的误报"),
    "fault": Text(en="fault", zh="问题"),
    "finds": Text(en="What it finds", zh="检查什么"),
    "findings": Text(en="Findings", zh="发现的问题"),
    "fix": Text(en="Fix", zh="解决办法"),
    "holes": Text(en="{count} values are not finite and leave gaps.", zh="有 {count} 个非有限值，留下空缺。"),
    "how to fix": Text(en="How to fix it", zh="如何解决"),
    "images": Text(en="{count} images", zh="{count} 张图像"),
    "levels": Text(en="Levels", zh="级别"),
    "limit": Text(en="limit", zh="界限"),
    "matters": Text(en="Why it matters", zh="为什么重要"),
    "measured": Text(en="measured", zh="测得"),
    "measures": Text(en="How it is measured", zh="如何测量"),
    "messages": Text(en="What it says", zh="报告的内容"),
    "more pictures": Text(
        en="Further pictures are left out to keep the file small.", zh="为控制文件大小，其余图片未列出。"
    ),
    "none open": Text(en="Nothing was found.", zh="没有发现问题。"),
    "note": Text(en="what is wrong there", zh="具体情况"),
    "noticed": Text(en="noticed while reading", zh="读取时注意到"),
    "one check": Text(en="1 check", zh="共 1 项检查"),
    "places": Text(en="Where", zh="位置"),
    "reason": Text(en="reason", zh="原因"),
    "results": Text(en="results", zh="预测结果"),
    "seconds": Text(en="seconds", zh="秒"),
    "settings": Text(en="Settings that mend it", zh="可用的设置"),
    "setup": Text(en="set-up", zh="设置"),
    "training": Text(en="training", zh="训练"),
    "source": Text(en="Source", zh="出处"),
    "stage": Text(en="looks at", zh="对象"),
    "status": Text(en="status", zh="结果"),
    "summary": Text(en="Summary", zh="概要"),
    "title": Text(en="Check of {name}", zh="检查 {name}"),
    "unchecked": Text(en="Not looked at", zh="未检查的部分"),
    "written by": Text(en="Written by Snellen. This file needs no network.", zh="由 Snellen 生成，本文件无需网络。"),
}
# Of the pages, by their English words, which the templates and the script hold.
_CHINESE: Mapping[str, str] = {
    "Close": "关闭",
    "Copied": "已复制",
    "Copy": "复制",
    "Enlarge": "放大",
    "Enlarged image": "放大的图像",
    "Next": "下一张",
    "Previous": "上一张",
    "Search": "搜索",
    "Sections": "目录",
    "Select and copy": "请选中后复制",
    "Show all rows": "显示全部行",
    "Show all {count} rows": "显示全部 {count} 行",
    "Show fewer rows": "显示较少的行",
    "Skip to the summary": "跳到概要",
    "Switch colours": "切换颜色",
    "Switch to dark colours": "切换为深色",
    "Switch to light colours": "切换为浅色",
    "{count} found": "找到 {count} 行",
    "{place} of {total}": "第 {place} 张，共 {total} 张",
}
_COLONS: Mapping[Language, str] = {"en": ": ", "zh": "："}
_COMMAS: Mapping[Language, str] = {"en": ", ", "zh": "，"}


def phrase(name: str, language: Language, /, **values: object) -> str:
    """Return a phrase in a language, filled with values."""
    return PHRASES[name](language).format(**values)


def page_words(language: Language) -> Mapping[str, str]:
    """Return what stands for the English words of the pages in a language; empty for English."""
    if language == "en":
        return {}
    return {**_CHINESE, **{text.en: text(language) for text in PHRASES.values()}}


def labelled(name: str, text: str, language: Language) -> str:
    """Return a phrase, a colon, and a text."""
    return f"{phrase(name, language)}{_COLONS[language]}{text}"


def counted_levels(diagnosis: Diagnosis, language: Language) -> str:
    """Return how many findings of each level there are, the gravest first; consequences are not counted."""
    counts = Counter(finding.level for finding in diagnosis.findings)
    return _COMMAS[language].join(
        f"{counts[level]} {(LEVELS if counts[level] == 1 else _MANY)[level](language)}"
        for level in sorted(counts, reverse=True)
    )


def summary_line(diagnosis: Diagnosis, language: Language) -> str:
    """Return how the checks ended, in one line."""
    counts = Counter(outcome(result) for result in diagnosis.results)
    found = counted_levels(diagnosis, language)
    if found and len(diagnosis.findings) != counts["found"]:  # a check may find several things, or a consequence only
        found = labelled("counted findings", found, language)
    parts = [
        f"{counts[name]} {word(language)}" + (f" ({found})" if name == "found" and found else "")
        for name, word in OUTCOMES.items()
        if counts[name] or name != "accepted"
    ]
    name = "one check" if len(diagnosis.results) == 1 else "checks"
    head = phrase(name, language, count=len(diagnosis.results))
    return f"{head}{_COLONS[language]}{_COMMAS[language].join(parts)}"


def outcome(result: CheckResult) -> str:
    """Return how a check ended; ``accepted`` where a baseline had accepted all that it found."""
    if result.status == Status.FOUND and not result.findings:
        return "accepted"
    return result.status.value


def limit_text(limit: Limit, language: Language) -> str:
    """Return a limit with its unit, the level that begins there if it is not the lowest, and its source."""
    name = phrase("limit", language) if limit.level is None else _LIMITS[limit.level](language)
    return f"{name} {_with_unit(limit.value, limit.unit)} ({limit.source})"


def measured_text(finding: Finding, language: Language) -> str:
    """Return what was measured and what it was held against, or an empty text where there is nothing to tell."""
    if finding.measured is None:
        return ""
    unit = "" if finding.limit is None else finding.limit.unit
    told = f"{phrase('measured', language)} {_with_unit(finding.measured, unit)}"
    return told if finding.limit is None else f"{told}{_COMMAS[language]}{limit_text(finding.limit, language)}"


def _with_unit(value: float, unit: str) -> str:
    is_whole = float(value).is_integer()
    return f"{number_text(int(value) if is_whole else value)} {unit}".rstrip()
