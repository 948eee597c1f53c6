"""Write the generated pages: docs/models.md from the catalogue, docs/systems and docs/checks.md from pages.

docs/checks.md ends with every diagnosis of docs/diagnoses.tsv and the check that makes it; one that could be made
before the first step, or from results, and is made by no check must have a reason in docs/uncovered.tsv.

What the ladder's benchmark measured goes from benchmarks/results/ladder.json into the package, where the pages read it.

python docs/generate.py
"""

import csv
import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path

from snellen.data import task_of
from snellen.doctor import CHECKS, Check, Language, Level
from snellen.models import page_names
from snellen.recipes import describe, models, system_page
from snellen.report import LEVELS, check_page, check_table, json_schema

HEAD = """# Models

Written by `make docs` from `models/catalog.py`. Parameters and multiply-adds are counted with ten classes at the size
named; for detectors, the regions that random weights happen to propose are part of the count.

| name | learns from | parameters | multiply-adds | size | paper |
|---|---|---|---|---|---|
"""


ROOT = Path(__file__).parents[1]
FIGURES = ("AP50", "AP", "untrained", "total")


def take_figures() -> None:
    source = ROOT / "benchmarks" / "results" / "ladder.json"
    if not source.is_file():
        return
    ladder = json.loads(source.read_text(encoding="utf-8"))
    sets = {
        data: {name: {key: round(row[key], 4) for key in FIGURES} for name, row in rows.items()}
        for data, rows in ladder["sets"].items()
    }
    text = json.dumps({"how": ladder["how"], "sets": sets}, indent=1) + "\n"
    (ROOT / "src" / "snellen" / "models" / "pages" / "measured.json").write_text(text, encoding="utf-8")


def write_systems() -> None:
    folder = Path(__file__).with_name("systems")
    folder.mkdir(exist_ok=True)
    for name in page_names():
        (folder / f"{name}.md").write_text(f"{system_page(name)}\n", encoding="utf-8")


CHECKS_HEAD: Mapping[Language, str] = {
    "en": """# Checks

Written by `make docs` from the checks' own pages. `snellen check DATA --model NAME` makes them, `snellen explain CODE`
prints a page. An *error* is proven, a *warning* is a statistic beyond what healthy data and trainings show, *info* is
worth knowing.
[中文](checks.zh-CN.md)
""",
    "zh": """# 检查

由 `make docs` 从各项检查自己的页面生成。`snellen check 数据 --model 名称` 执行检查，`snellen explain 代号` 显示页面。
*错误*是已证实的问题，*警告*是超出正常数据和训练范围的统计量，*提示*是值得了解的情况。[English](checks.md)
""",
}
WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "levels": "levels",
        "coverage": "Diagnoses",
        "columns": "| diagnosis | symptom | made by |",
        "intro": "Every known diagnosis, and the check that makes it, or why none does.",
        "training": "seen only while it trains: in its curves, gradients and activations",
        "results": "seen only in what a trained model predicts",
        "elsewhere": "about a model, or a cost, that no training here has, or that shows by itself",
    },
    "zh": {
        "levels": "级别",
        "coverage": "诊断",
        "columns": "| 诊断 | 症状 | 由谁做出 |",
        "intro": "所有已知的诊断，以及做出它的检查；若没有，则说明原因。",
        "training": "只在训练过程中可见：在曲线、梯度和激活中",
        "results": "只在训练好的模型的预测中可见",
        "elsewhere": "涉及这里不训练的模型或不产生的开销，或会自行显现",
    },
}


def levels_of(check: Check) -> list[Level]:
    """Return the levels that the file of a check names, the gravest first."""
    module = inspect.getmodule(check.judge)
    source = "" if module is None else inspect.getsource(module)
    return sorted({Level[name] for name in re.findall(r"Level\.(ERROR|WARNING|INFO)\b", source)}, reverse=True)


def check_list(language: Language) -> str:
    words = WORDS[language]
    table = check_table(CHECKS, language)
    head = [*table.columns, words["levels"]]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for check, (code, name, stage, title) in zip(CHECKS, table.rows, strict=True):
        levels = ", ".join(LEVELS[level](language) for level in levels_of(check))
        lines.append(f"| [{code}](#{anchor(check, language)}) | `{name}` | {stage} | {title} | {levels} |")
    return "\n".join(lines)


def anchor(check: Check, language: Language) -> str:
    """Return the anchor that GitHub makes of the heading of a check."""
    heading = f"{check.code} {check.name}: {check.pages[language].title}".lower()
    return re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")


def rows_of(name: str) -> list[dict[str, str]]:
    with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def coverage(language: Language) -> str:
    words = WORDS[language]
    why = {row["id"]: row["reason" if language == "en" else "原因"] for row in rows_of("uncovered.tsv")}
    lines = [f"## {words['coverage']}", "", words["intro"], "", words["columns"], "|---|---|---|"]
    for row in rows_of("diagnoses.tsv"):
        made = [f"[{check.code}](#{anchor(check, language)})" for check in CHECKS if row["id"] in check.covers]
        told = ", ".join(made) or (why.get(row["id"]) or words[row["seen"]])
        lines.append(f"| {row['id']} | {row['symptom' if language == 'en' else '症状']} | {told} |")
    return "\n".join(lines)


def write_checks() -> None:
    for language, name in (("en", "checks.md"), ("zh", "checks.zh-CN.md")):
        pages = [check_page(check, language, depth=2) for check in CHECKS]
        text = "\n\n".join([CHECKS_HEAD[language].rstrip(), check_list(language), *pages, coverage(language)])
        Path(__file__).with_name(name).write_text(f"{text}\n", encoding="utf-8")
    schema = json.dumps(json_schema(), indent=1, ensure_ascii=False)
    Path(__file__).with_name("diagnosis.schema.json").write_text(f"{schema}\n", encoding="utf-8")


def main() -> None:
    write_checks()
    take_figures()
    write_systems()
    rows = []
    for entry in models():
        told = describe(entry.name)
        kind = ", ".join(task_of(kind) for kind in entry.target_types)
        paper = f"[{entry.paper.removeprefix('https://arxiv.org/abs/')}]({entry.paper})"
        rows.append(
            f"| `{entry.name}` | {kind} | {told.num_parameters / 1e6:.1f} M | {told.multiply_adds / 1e9:.1f} G "
            f"| {told.size[0]} × {told.size[1]} | {paper} |"
        )
    Path(__file__).with_name("models.md").write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
