"""The same cases under the doctors that exist: cleanvision and datumaro, torchtest2 and torch-audit.

    python -m venv --system-site-packages peers && peers/bin/pip install cleanvision datumaro torchtest2 torch-audit
    peers/bin/python benchmarks/doctor/peers.py --scratch doctor-cases --ours doctor-cases --severities 2

Peers are judged kindly: a fault counts as found if a tool says anything at all about the broken copy that it does not
say of the healthy twin. ``--ours`` is the scratch folder of ``measure.py``: what Snellen said of the same cases is
judged in the same way. What was found is kept, so that a second call goes on. Writes ``results/doctor_peers.md``.
"""

import argparse
import contextlib
import io
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from bases import BASES
from data_faults import FAULTS
from measure import HERE, data_cases, run, setup_cases
from planting import splits
from scoring import LONG, alarms, news, rate
from setups import SetUp

import snellen

Found = list[dict[str, Any]]


def cleanvision(folder: Path, **_: Any) -> Found:
    from cleanvision import Imagelab

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lab = Imagelab(data_path=str(folder))
        lab.find_issues(n_jobs=1, verbose=False)
    rows = lab.issue_summary.to_dict("records")
    return [entry(row["issue_type"], "WARNING", int(row["num_images"])) for row in rows if row["num_images"]]


def arranged(folder: Path, other: Path) -> Path:
    """Return a folder with the COCO files where datumaro looks for them: images in ``images/train`` and so on."""
    (other / "images").mkdir()
    (other / "annotations").symlink_to((folder / "annotations").resolve())
    for split in splits(folder):
        (other / "images" / split).symlink_to((folder / split).resolve())
    return other


def arranged_masks(folder: Path, other: Path) -> Path:
    """Return a folder with training images and masks and the list of classes that datumaro asks for."""
    for part in ("images", "masks"):
        (other / part).symlink_to((folder / "train" / part).resolve())
    stated = folder / "snellen.yaml"
    names = yaml.safe_load(stated.read_text())["classes"] if stated.is_file() else [str(code) for code in range(256)]
    (other / "dataset_meta.json").write_text(json.dumps({"labels": names}))
    return other


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
    with tempfile.TemporaryDirectory() as other:
        if (folder / "annotations").is_dir():
            place, kind, validator = arranged(folder, Path(other)), "coco_instances", DetectionValidator
        elif (folder / "train" / "masks").is_dir():
            place, kind = arranged_masks(folder, Path(other)), "common_semantic_segmentation"
            validator = SegmentationValidator
        elif (folder / "data.yaml").is_file():
            place, kind, validator = folder, "yolo_ultralytics", DetectionValidator
        else:
            place, kind, validator = folder, "imagenet_with_subset_dirs", ClassificationValidator
        report = validator(**limits).validate(Dataset.import_from(str(place), kind))
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


LOOKED_AT_LONG = {fault.name for fault in FAULTS if fault.is_looked_at_long}
TOOLS: dict[str, tuple[str, Callable[..., Found]]] = {
    "cleanvision": ("data", cleanvision),
    "datumaro": ("data", datumaro),
    "torchtest2": ("setup", torchtest2),
    "torch-audit": ("setup", torch_audit),
}


def twin_of(case: str, twins: dict[tuple[str, ...], Found]) -> Found:
    """Return what was said of the healthy twin: where it was looked at for long, as long as the faulty copy was."""
    _, base, fault, _ = case.split("|")
    names = (LONG, "as it is", "twin") if fault in LOOKED_AT_LONG else ("as it is", "twin")
    return next((twins[base, name] for name in names if (base, name) in twins), [])


def line(name: str, rows: list[dict[str, Any]]) -> str:
    healthy = [row for row in rows if row["case"].startswith("healthy")]
    twins = {tuple(row["case"].split("|")[1:3]): row["found"] for row in healthy}
    faults = [row for row in rows if row["case"].startswith("fault") and not row.get("unchanged")]
    hits = sum(bool(news(row["found"], twin_of(row["case"], twins))) for row in faults)
    cells = [name, rate(hits, len(faults))]
    loud = [sum(bool(alarms(row, level)) for row in healthy) for level in ("ERROR", "WARNING")]
    cells += [rate(count, len(healthy)) for count in loud]
    crashed = sum(any(said["level"] == "CRASHED" for said in row["found"]) for row in rows)
    seconds = sorted(row["seconds"] for row in rows)
    return f"| {' | '.join([*cells, f'{crashed} of {len(rows)}', f'{seconds[len(seconds) // 2]:.1f}'])} |\n"


def is_chosen(case: str, arguments: argparse.Namespace) -> bool:
    """Return whether a case belongs to the comparison: with the healthy twins and variants of the bases chosen."""
    kind, base, *_, severity = case.split("|")
    is_of_base = not arguments.bases or base in arguments.bases or base not in BASES
    is_of_setup = kind == "healthy" or not arguments.setups or base in arguments.setups or base in BASES
    return is_of_base and is_of_setup and (kind == "healthy" or severity in arguments.severities)


def kept_rows(path: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    rows = [json.loads(row) for row in path.read_text().splitlines()] if path.is_file() else []
    return [row for row in rows if is_chosen(row["case"], arguments)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--scratch", type=Path, default=Path("doctor-cases"))
    parser.add_argument("--ours", type=Path, help="scratch folder of measure.py")
    parser.add_argument("--tools", nargs="+", choices=sorted(TOOLS), default=sorted(TOOLS))
    parser.add_argument("--severities", nargs="+", choices=("0", "1", "2"), default=["0", "1", "2"])
    parser.add_argument("--bases", nargs="+", choices=sorted(BASES), help="of data sets; all if not given")
    parser.add_argument("--setups", nargs="+", help="that faults are planted in; all if not given")
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    head = (HERE / "peers_head.md").read_text(encoding="utf-8")
    bases = ", ".join(arguments.bases or BASES)
    setups = ", ".join(arguments.setups or ["all"])
    text = head.format(severities=", ".join(arguments.severities), bases=bases, setups=setups)
    for part, title in (("data", "data sets"), ("setup", "set-ups")):
        text += f"\n| {title} | says something new of a planted fault | healthy with an error | healthy with a warning "
        text += "| crashed | median s |\n|---|---|---|---|---|---|\n"
        for tool, (of_part, look) in TOOLS.items():
            kept = arguments.scratch / f"{tool}.jsonl"
            if of_part == part and tool in arguments.tools and not arguments.report_only:
                cases = data_cases if part == "data" else setup_cases
                every = list(cases(arguments.data, arguments.scratch / tool, look))
                run([case for case in every if is_chosen(case[0], arguments) and LONG not in case[0]], kept)
            if of_part == part and (rows := kept_rows(kept, arguments)):
                text += line(f"{tool} {version(tool)}", rows)
        if arguments.ours and (rows := kept_rows(arguments.ours / f"{part}.jsonl", arguments)):
            text += line(f"snellen {snellen.__version__}", rows)
    (HERE.parent / "results" / "doctor_peers.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
