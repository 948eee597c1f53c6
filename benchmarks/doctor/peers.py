"""The same cases under the doctors that exist: cleanvision and datumaro, torchtest2 and torch-audit.

    python -m venv --system-site-packages peers && peers/bin/pip install cleanvision datumaro torchtest2 torch-audit
    peers/bin/python benchmarks/doctor/peers.py --scratch doctor-cases

Peers are judged kindly: a fault counts as found if a tool says anything at all about the broken copy that it does not
say of the healthy twin. Writes ``results/doctor_peers.md``.
"""

import argparse
import contextlib
import io
import json
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from measure import HERE, data_cases, run, setup_cases
from scoring import news, rate
from setups import SetUp

Found = list[dict[str, Any]]


def cleanvision(folder: Path, **_: Any) -> Found:
    from cleanvision import Imagelab

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lab = Imagelab(data_path=str(folder))
        lab.find_issues(n_jobs=1, verbose=False)
    rows = lab.issue_summary.to_dict("records")
    return [entry(row["issue_type"], "WARNING", int(row["num_images"])) for row in rows if row["num_images"]]


def datumaro(folder: Path, **_: Any) -> Found:
    from datumaro.components.dataset import Dataset
    from datumaro.plugins.validators import ClassificationValidator, DetectionValidator, SegmentationValidator

    limits = {
        "few_samples_thr": 1,
        "imbalance_ratio_thr": 50,
        "far_from_mean_thr": 5.0,
        "dominance_ratio_thr": 0.8,
        "topk_bins": 0.1,
    }
    if (folder / "annotations").is_dir():
        data, validator = Dataset.import_from(str(folder), "coco_instances"), DetectionValidator
    elif (folder / "train" / "masks").is_dir():
        data, validator = (
            Dataset.import_from(str(folder / "train"), "common_semantic_segmentation"),
            SegmentationValidator,
        )
    elif (folder / "data.yaml").is_file():
        data, validator = Dataset.import_from(str(folder), "yolo_ultralytics"), DetectionValidator
    else:
        data, validator = Dataset.import_from(str(folder), "imagenet_with_subset_dirs"), ClassificationValidator
    report = validator(**limits).validate(data)
    counts = Counter((row["anomaly_type"], row["severity"]) for row in report["validation_reports"])
    levels = {"error": "ERROR", "warning": "WARNING", "info": "INFO"}
    return [entry(kind, levels[severity], count) for (kind, severity), count in counts.items()]


def torchtest2(setup: SetUp) -> Found:
    from torchtest2 import check_model

    images, targets = setup.batch
    if isinstance(images, list):
        return [entry("not applicable", "INFO", 0)]
    report = check_model(setup.model, images, targets, loss_fn=setup.loss, optimizer=setup.optimizer)
    levels = {"FAIL": "ERROR", "WARN": "WARNING"}
    return [entry(row.name, levels[str(row.status)], 1) for row in report.results if str(row.status) in levels]


def torch_audit(setup: SetUp) -> Found:
    from torch_audit.api import audit

    result = audit(setup.model, batch=setup.batch, optimizer=setup.optimizer, phase="static")
    counts = Counter((row.rule_id, str(row.severity.value).upper()) for row in result.findings)
    return [entry(rule, "WARNING" if level == "WARN" else level, count) for (rule, level), count in counts.items()]


def entry(code: str, level: str, places: int) -> dict[str, Any]:
    return {"code": code, "level": level, "message": code, "measured": None, "places": places, "said": code}


TOOLS: dict[str, tuple[str, Callable[..., Found]]] = {
    "cleanvision": ("data", cleanvision),
    "datumaro": ("data", datumaro),
    "torchtest2": ("setup", torchtest2),
    "torch-audit": ("setup", torch_audit),
}


def line(tool: str, rows: list[dict[str, Any]]) -> str:
    twins = {row["case"].split("|")[1]: row["found"] for row in rows
             if row["case"].startswith("healthy") and row["case"].split("|")[2] in ("as it is", "twin")}  # fmt: skip
    faults = [row for row in rows if row["case"].startswith("fault")]
    healthy = [row for row in rows if row["case"].startswith("healthy")]
    hits = sum(bool(news(row["found"], twins.get(row["case"].split("|")[1], []))) for row in faults)
    cells = [f"{tool} {version(tool)}", rate(hits, len(faults))]
    loud = [
        sum(any(said["level"] == level for said in row["found"]) for row in healthy) for level in ("ERROR", "WARNING")
    ]
    cells += [rate(count, len(healthy)) for count in loud]
    crashed = sum(any(said["level"] == "CRASHED" for said in row["found"]) for row in rows)
    seconds = sorted(row["seconds"] for row in rows)
    return f"| {' | '.join([*cells, f'{crashed} of {len(rows)}', f'{seconds[len(seconds) // 2]:.1f}'])} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--scratch", type=Path, default=Path("doctor-cases"))
    parser.add_argument("--tools", nargs="+", choices=sorted(TOOLS), default=sorted(TOOLS))
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    text = (HERE / "peers_head.md").read_text(encoding="utf-8")
    for part, title in (("data", "data sets"), ("setup", "set-ups")):
        text += f"\n| {title} | says something new of a planted fault | healthy with an error | healthy with a warning "
        text += "| crashed | median s |\n|---|---|---|---|---|---|\n"
        for tool, (of_part, look) in TOOLS.items():
            kept = arguments.scratch / f"{tool}.jsonl"
            if of_part == part and tool in arguments.tools and not arguments.report_only:
                cases = data_cases if part == "data" else setup_cases
                run(list(cases(arguments.data, arguments.scratch / tool, look)), kept)
            if of_part == part and kept.is_file():
                text += line(tool, [json.loads(row) for row in kept.read_text().splitlines()])
    (HERE.parent / "results" / "doctor_peers.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
