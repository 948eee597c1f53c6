"""Train every segmenter on one encoder at one budget, beside segmentation-models-pytorch's where it has the network.

    python benchmarks/segmenters.py --data ../shared/data --sets camvid horses isbi --seeds 3 --out segmenter-runs
    python benchmarks/segmenters.py --data ../shared/data --small --seeds 2 --out segmenter-runs

All stand on MobileNetV2 with the same ImageNet weights. Ours are trained by ``snellen train``, theirs by the
plain loop of ``peer_accuracy.py``: the same images, size, batch, epochs, optimizer, rate, schedule, weight decay
and mirroring; the last weights are measured on the images that were held out (CamVid's test split; of horses and
ISBI every fifth). A model may have settings, ``NAME:output_stride=8,rates=[3,6,9]``, and then has no peer. Runs
and scores are kept in ``--out``, so that a second call goes on. Times are medians over images of the data set's
size, ours and theirs by turns, when all training is over. Writes ``results/segmenters.md``, ``.json``,
``segmenters_time.svg``, ``segmenters_size.svg``.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import snellen
from accuracy_settings import Budget, binary_mask, camvid_mask, rgb
from imbalance import with_interval
from ladder_plot import Cost, scatter
from ladder_runs import Job, run_all
from peer_accuracy import segmented
from snellen.models import count_parameters
from snellen.nn import quick_layout
from snellen.recipes import Run
from snellen.recipes.evaluating import evaluate_run, recorded_index
from snellen.structures import ImageBatch
from snellen.training import autocast

HERE = Path(__file__).resolve().parent
ENCODER = "mobilenet_v2"
WIDTH = 128  # of the contexts of our rows on MobileNetV2
HALF = ([0.5] * 3, [0.5] * 3)  # mean and spread that the given weights were trained with

# Short side in pixels, batch, epochs and rate; SGD with momentum, cosine, weight decay as in accuracy_settings.py.
SETS: Mapping[str, Budget] = {
    "camvid": Budget(kind="segmentation", network="", size=192, batch=4, epochs=15, lr=0.02, warmup=30),
    "horses": Budget(kind="segmentation", network="", size=160, batch=8, epochs=15, lr=0.02, warmup=20),
    "isbi": Budget(kind="segmentation", network="", size=256, batch=4, epochs=40, lr=0.02, warmup=10),
}
# For an hour of one core with --small: smaller images, and of CamVid's films every second and every third frame.
SMALL: Mapping[str, Budget] = {
    "camvid": replace(SETS["camvid"], size=128, epochs=5),
    "horses": replace(SETS["horses"], size=96, epochs=5),
    "isbi": replace(SETS["isbi"], size=128, epochs=16),
}
SMALL_FRAMES = {"train": 2, "val": 3}
NUM_CLASSES = {"camvid": 11, "horses": 2, "isbi": 2}
PUBLISHED = {
    "camvid": "Published on this split, at 480 × 360 and hundreds of epochs: SegNet 0.556 and ENet 0.513 (Paszke et "
    "al. 2016), ESPNet 0.556 (Mehta et al. 2018)."
}
MODELS = tuple(
    f"{name}_{ENCODER}"
    for name in ("fcn_32s", "fcn_16s", "fcn_8s", "segnet", "unet", "deeplab_v3", "deeplab_v3_plus", "pspnet")
)


def _peers() -> dict[str, Callable[[int], nn.Module]]:
    import segmentation_models_pytorch as smp

    atrous = {"encoder_output_stride": 16, "decoder_channels": WIDTH, "decoder_atrous_rates": (6, 12, 18),
              "decoder_aspp_separable": True}  # fmt: skip
    common = {"encoder_weights": None}
    return {
        f"unet_{ENCODER}": lambda num: smp.Unet(ENCODER, classes=num, **common),
        f"deeplab_v3_{ENCODER}": lambda num: smp.DeepLabV3(ENCODER, classes=num, **atrous, **common),
        f"deeplab_v3_plus_{ENCODER}": lambda num: smp.DeepLabV3Plus(ENCODER, classes=num, **atrous, **common),
        # It has no dilation there; of its encoder it reads the map at stride 16, as deep as the fourth stage.
        f"pspnet_{ENCODER}": lambda num: smp.PSPNet(
            ENCODER, classes=num, encoder_depth=4, psp_out_channels=WIDTH, upsampling=16, **common
        ),
    }


def prepared(name: str, arguments: argparse.Namespace) -> Path:
    """Return a folder with ``train``, ``trainannot``, ``val`` and ``valannot`` of a data set; its files are links."""
    root = arguments.out / "data" / (f"{name}-small" if name == "camvid" and arguments.small else name)
    if (root / "done").exists():
        return root
    for split, pairs in pairs_of(name, arguments.data, small=arguments.small).items():
        for image, mask in pairs:
            for folder, file in ((split, image), (f"{split}annot", mask)):
                place = root / folder / file.name
                place.parent.mkdir(parents=True, exist_ok=True)
                if not place.exists():
                    place.symlink_to(file.resolve())
    stated = "ignore_index: 11\n" if name == "camvid" else "masks_of_other_shape: stretch\n" if name == "horses" else ""
    if stated:
        (root / "snellen.yaml").write_text(stated)
    (root / "done").touch()
    return root


def pairs_of(name: str, data: Path, *, small: bool) -> dict[str, list[tuple[Path, Path]]]:
    """Return the image and the mask of every row, by split; what is measured on is called val."""
    if name == "camvid":
        splits = {"train": "train", "val": "test"}
        return {
            split: [
                (p, data / name / f"{theirs}annot" / f"{p.stem}.png")
                for p in sorted((data / name / theirs).iterdir())[:: SMALL_FRAMES[split] if small else 1]
            ]
            for split, theirs in splits.items()
        }
    root, images, masks = (
        (data / "horses", "images", "masks") if name == "horses" else (data / "isbi_em", "image", "label")
    )
    pairs = [(p, root / masks / f"{p.stem}.png") for p in sorted((root / images).iterdir())]
    return {
        "train": [pair for row, pair in enumerate(pairs) if row % 5 != 4],
        "val": [pair for row, pair in enumerate(pairs) if row % 5 == 4],
    }


def budget_of(name: str, arguments: argparse.Namespace) -> Budget:
    budget = (SMALL if arguments.small else SETS)[name]
    return budget if arguments.epochs is None else replace(budget, epochs=arguments.epochs)


def job_of(name: str, model: str, seed: int, arguments: argparse.Namespace) -> Job:
    """Return our training of a model, which may have settings behind a colon."""
    budget = budget_of(name, arguments)
    plain, _, settings = model.partition(":")
    options = ["--epochs", str(budget.epochs), "--seed", str(seed), "--validate-every", str(budget.epochs)]
    options += ["--image-size", str(budget.size), "--batch-size", str(budget.batch), "--optimizer", "sgd"]
    options += [
        "--lr",
        str(budget.lr),
        "--schedule",
        "cosine",
        "--warmup-steps",
        str(budget.warmup),
        "--finetune",
        "all",
    ]
    options += ["--weight-decay", str(budget.weight_decay), "--clip-norm", "0", "--flip", "--device", arguments.device]
    options += arguments.option
    for setting in settings_of(settings):
        options += ["--set", setting]
    return Job(
        name=f"{name}{small_word(arguments)}-{safe(model)}-seed{seed}", model=plain, data=prepared(name, arguments),
        weights=arguments.data / "weights" / "mobilenet_v2_imagenet.safetensors", options=tuple(options),
    )  # fmt: skip


def small_word(arguments: argparse.Namespace) -> str:
    return "-small" if arguments.small else ""


def settings_of(text: str) -> list[str]:
    """Return ``a=1`` and ``b=[2,3]`` of ``a=1,b=[2,3]``."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return [word for word in found if word]


def safe(model: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_=." else "-" for letter in model)


def our_score(folder: Path) -> float | None:
    """Return the mIoU of the last weights on the held-out images; None if the training failed."""
    kept = folder / "score.json"
    if not kept.is_file():
        if not (folder / "cost.json").is_file():
            return None
        run = Run.open(folder)
        results = evaluate_run(run, index=recorded_index(run), split="val", which="last")
        kept.write_text(json.dumps({"mIoU": results.scalars["mIoU"]}))
    return json.loads(kept.read_text())["mIoU"]


def peer(name: str, model: str) -> nn.Module:
    """Return their network with the encoder's weights."""
    return _peers()[model](NUM_CLASSES[name])


def their_score(name: str, model: str, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Train theirs, unless it was, and return its mIoU and the seconds."""
    from safetensors.torch import load_file

    kept = arguments.out / f"{name}{small_word(arguments)}-{model}-peer-seed{seed}.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    torch.manual_seed(seed)
    network = peer(name, model)
    state = load_file(arguments.data / "weights" / "mobilenet_v2_imagenet.safetensors")
    network.encoder.load_state_dict({k: v.float() for k, v in state.items() if k.startswith("features.")}, strict=False)
    mask_of = camvid_mask if name == "camvid" else None
    sets = [
        [(rgb(image), mask_of(mask) if mask_of else binary_mask(mask, image)) for image, mask in pairs]
        for pairs in pairs_of(name, arguments.data, small=arguments.small).values()
    ]
    began = time.perf_counter()
    budget, device = budget_of(name, arguments), arguments.device
    found = segmented(network, *sets, NUM_CLASSES[name], budget, seed, HALF, device=device)
    found["seconds"] = time.perf_counter() - began
    kept.write_text(json.dumps(found))
    print(kept.stem, found, file=sys.stderr, flush=True)
    return found


def timed(name: str, folder: Path, model: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Return seconds of one image by turns: ours and theirs in float32, ours as it is by default."""
    run = Run.open(folder)
    ours = run.load().eval()
    size = run.record["image_size"]
    height, width = size, -(-(size * 4 // 3) // 32) * 32
    pixels = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8)
    images = ImageBatch(
        pixels=pixels, sizes=torch.tensor([[height, width]]), original_sizes=torch.tensor([[height, width]])
    )
    calls: dict[str, Callable[[], object]] = {"total": lambda: ours(images)}
    if model in _peers():
        theirs = peer(name, model).eval()
        x = pixels.float()
        calls["peer_total"] = lambda: theirs(x)
    quick = run.load().eval()
    quick_layout(quick)
    precision = run.record["settings"]["precision"]

    def as_default() -> object:
        with autocast(torch.device("cpu"), precision):
            return quick(images)

    calls["default_total"] = as_default
    seconds: dict[str, list[float]] = {key: [] for key in calls}
    with torch.inference_mode():
        for _ in range(arguments.images + 2):
            for key, call in calls.items():
                began = time.perf_counter()
                call()
                seconds[key].append(time.perf_counter() - began)
    return {key: statistics.median(values[2:]) for key, values in seconds.items()}


def row_of(
    name: str, model: str, costs: Mapping[str, Mapping[str, float]], arguments: argparse.Namespace
) -> dict | None:
    """Return the figures of a model on a data set; None if no training of it ended."""
    jobs = [job_of(name, model, seed, arguments) for seed in range(arguments.seeds)]
    scores = [our_score(arguments.out / job.name) for job in jobs]
    if None in scores:
        return None
    seconds = [costs[job.name]["seconds"] for job in jobs if costs.get(job.name)]
    network = Run.open(arguments.out / jobs[0].name).load()
    row = {"scores": scores, "mIoU": statistics.mean(scores), "parameters": count_parameters(network)}
    row |= {"seconds": statistics.median(seconds) if seconds else None}
    if model in _peers() and not arguments.no_peers:
        found = [their_score(name, model, seed, arguments) for seed in range(arguments.seeds)]
        row |= {"peer_scores": [each["mIoU"] for each in found]}
        row |= {"peer_seconds": statistics.median(each["seconds"] for each in found)}
        row |= {"peer_parameters": count_parameters(peer(name, model))}
    return row


def table(rows: Mapping[str, Mapping]) -> str:
    """Return the rows as Markdown."""
    head = ["model", "mIoU", "theirs", "difference", "parameters (M)", "theirs (M)", "ms", "theirs ms", "ms by default",
            "training s", "theirs s"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for model, row in rows.items():
        theirs = row.get("peer_scores")
        pairs = [] if theirs is None else [a - b for a, b in zip(row["scores"], theirs, strict=True)]
        cells = [f"`{model}`", with_interval(row["scores"]), with_interval(theirs) if theirs else "–"]
        cells += [with_interval(pairs) if pairs else "–"]
        keys = (("parameters", 1e-6, 2), ("peer_parameters", 1e-6, 2), ("total", 1000, 1), ("peer_total", 1000, 1),
                ("default_total", 1000, 1), ("seconds", 1, 0), ("peer_seconds", 1, 0))  # fmt: skip
        cells += [f"{factor * row[key]:.{digits}f}" if row.get(key) else "–" for key, factor, digits in keys]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(found: Mapping[str, Mapping[str, Mapping]], arguments: argparse.Namespace) -> None:
    """Write table, figures and plots."""
    import segmentation_models_pytorch as smp

    results = arguments.results
    results.mkdir(parents=True, exist_ok=True)
    (results / "segmenters.json").write_text(json.dumps(found, indent=1) + "\n")
    costs = {
        "time": Cost(key="total", factor=1000, title="milliseconds per image (float32)"),
        "size": Cost(key="parameters", factor=1e-6, title="million parameters"),
    }
    for word, cost in costs.items():
        (results / f"segmenters_{word}.svg").write_text(scatter(found, cost=cost, merit="mIoU"), encoding="utf-8")
    versions = f"Snellen {snellen.__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    text = (
        "# Segmenters on one encoder and budget\n\n"
        f"`python benchmarks/segmenters.py{' --small' * arguments.small}`; {versions}, segmentation_models_pytorch "
        f"{smp.__version__}. All on MobileNetV2 with the same ImageNet weights; {arguments.seeds} seeds, mean ± "
        f"Student's 95 % interval, differences seed by seed; {arguments.threads} thread, {arguments.parallel} "
        "trainings of ours at a time. Times are of one image, by turns; *by default* is with the precision and the "
        "layout that a user gets. "
        "segmentation_models_pytorch has no FCN and no SegNet; its PSPNet has no dilation and reads the "
        "encoder's fourth stage, so that those two differ."
        + (
            " Of CamVid every second frame is trained on and every third of the test part measured."
            if arguments.small
            else ""
        )
        + "\n\n![mIoU over time](segmenters_time.svg)\n\n![mIoU over parameters](segmenters_size.svg)\n"
    )
    for name, rows in found.items():
        budget = budget_of(name, arguments)
        text += f"\n## {name}: {budget.size} px, {budget.epochs} epochs, batches of {budget.batch}\n\n{table(rows)}\n"
        text += f"\n{PUBLISHED[name]}\n" if name in PUBLISHED else ""
    (results / "segmenters.md").write_text(text, encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=sorted(SETS))
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="NAME or NAME:SETTING=VALUE,…")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--epochs", type=int, help="those of each data set if left out")
    parser.add_argument("--small", action="store_true", help="smaller images, fewer epochs and frames: an hour")
    parser.add_argument("--option", action="append", default=[], help="a word for all of ours: --option=--no-check")
    parser.add_argument("--out", type=Path, default=Path("segmenter-runs"))
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--parallel", type=int, default=1, help="trainings of ours at a time")
    parser.add_argument("--threads", type=int, default=1, help="of each training, and of the timing")
    parser.add_argument("--device", default="cpu", help="where both are trained; times are of the processor")
    parser.add_argument("--images", type=int, default=12, help="images that are timed")
    parser.add_argument("--no-peers", action="store_true", help="leave segmentation_models_pytorch out")
    parser.add_argument("--no-timing", action="store_true")
    arguments = parser.parse_args(words)
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data}: expected the folder of the real data sets. Name it with --data.")
    torch.set_num_threads(arguments.threads)
    # Seed by seed, so that what is broken off has compared everything once.
    jobs = [job_of(name, model, seed, arguments) for seed in range(arguments.seeds) for name in arguments.sets
            for model in arguments.models]  # fmt: skip
    costs = run_all(jobs, arguments.out, parallel=arguments.parallel, threads=arguments.threads)
    found: dict[str, dict[str, dict]] = {}
    for name in arguments.sets:
        rows = {model: row_of(name, model, costs, arguments) for model in arguments.models}
        found[name] = {model: row for model, row in rows.items() if row is not None}
    if not arguments.no_timing:
        for name, rows in found.items():
            for model, row in rows.items():
                row.update(timed(name, arguments.out / job_of(name, model, 0, arguments).name, model, arguments))
    write(found, arguments)


if __name__ == "__main__":
    main()
