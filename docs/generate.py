"""Write docs/models.md from the catalogue (one row for each model, with its cost), and docs/systems from the pages.

What the ladder's benchmark measured goes from benchmarks/results/ladder.json into the package, where the pages read it.

python docs/generate.py
"""

import json
from pathlib import Path

from snellen.models import page_names
from snellen.recipes import describe, models, system_page

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


def main() -> None:
    take_figures()
    write_systems()
    rows = []
    for entry in models():
        told = describe(entry.name)
        kind = entry.target_type.__name__.removesuffix("Target").lower()
        paper = f"[{entry.paper.removeprefix('https://arxiv.org/abs/')}]({entry.paper})"
        rows.append(
            f"| `{entry.name}` | {kind} | {told.num_parameters / 1e6:.1f} M | {told.multiply_adds / 1e9:.1f} G "
            f"| {told.size[0]} × {told.size[1]} | {paper} |"
        )
    Path(__file__).with_name("models.md").write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
