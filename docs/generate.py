"""Write docs/models.md from the catalogue: one row for each model, with its cost.

python docs/generate.py
"""

from pathlib import Path

from snellen.recipes import describe, models

HEAD = """# Models

Written by `make docs` from `models/catalog.py`. Parameters and multiply-adds are counted with ten classes at the size
named; for detectors, the regions that random weights happen to propose are part of the count.

| name | learns from | parameters | multiply-adds | size | paper |
|---|---|---|---|---|---|
"""


def main() -> None:
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
