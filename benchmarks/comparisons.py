"""The comparisons that the field teaches, measured: each a table of paired differences over seeds.

    python benchmarks/comparisons.py --data ../shared/data --out comparison-runs --seeds 3

Each row of ``COMPARISONS`` is one call of ``snellen.ablate`` on real images of 32 px; what has been trained is kept in
``--out``, so that a second call goes on. Writes ``results/comparisons.md``.
"""

import argparse
import platform
import shutil
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torchvision
from rich.console import Console

import snellen

HERE = Path(__file__).resolve().parent
TEST_IMAGES = 2000  # of the test set, evenly over the classes: an accuracy of 0.5 is known to ± 0.022
SHARED: Mapping[str, Any] = {
    "image_size": 32,
    "batch_size": 32,
    "optimizer": "sgd",
    "lr": 0.05,
    "weight_decay": 5e-4,
    "flip": True,
    "augment": 0.0,
    "precision": "fp32",
    "validate_every": 100,
    "tensorboard": False,
    "subset": "1/4",
    "epochs": 6,
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """One comparison.

    Attributes:
        name: For the heading.
        taught: What textbooks and papers say.
        arms: Configurations; the first is the base.
        shared: Options of all of them beside ``SHARED``.
    """

    name: str
    taught: str
    arms: Mapping[str, Mapping[str, Any]]
    shared: Mapping[str, Any] = field(default_factory=dict)


COMPARISONS = (
    Question(
        name="Depth with and without short cuts",
        taught="A plain network of 34 layers has a higher error than one of 18, with short cuts a lower one; at 56 and "
        "20 layers on CIFAR-10 likewise (He et al. 2015, table 2 and figure 6; Q-002, Q-035).",
        arms={
            "plain, 18 layers": {"model": "plain18"},
            "plain, 34 layers": {"model": "plain34"},
            "short cuts, 18 layers": {"model": "resnet18"},
            "short cuts, 34 layers": {"model": "resnet34"},
        },
    ),
    Question(
        name="Depth for small images",
        taught="On CIFAR-10 the plain network of 56 layers learns worse than that of 20 (He et al. 2015, figure 6).",
        arms={
            "plain, 20 layers": {"model": "cifar_plain20"},
            "plain, 56 layers": {"model": "cifar_plain56"},
            "short cuts, 20 layers": {"model": "cifar_resnet20"},
            "short cuts, 56 layers": {"model": "cifar_resnet56"},
        },
    ),
    Question(
        name="Batch norm and high rates",
        taught="With batch norm rates can be 5 to 30 times as high (Ioffe & Szegedy 2015, section 4.2; Q-041).",
        shared={"epochs": 4, "clip_norm": 0.0, "warmup_steps": 0},
        arms={
            f"{'with' if norm else 'without'} batch norm, rate {rate}": {
                "model": "vgg11_bn" if norm else "vgg11",
                "lr": rate,
            }
            for norm in (False, True)
            for rate in (0.01, 0.1)
        },
    ),
    Question(
        name="Activations in a network without norms",
        taught="Sigmoids saturate and their slope is at most 1/4, so that deep networks of them hardly learn; ReLU and "
        "its relatives do (Glorot & Bengio 2010; Glorot et al. 2011; Q-029, Q-033).",
        shared={"model": "vgg11", "epochs": 4, "lr": 0.01},
        arms={
            "ReLU, He": {"init": "kaiming"},
            "leaky ReLU, He": {"activation": "leaky_relu", "init": "kaiming"},
            "ELU, He": {"activation": "elu", "init": "kaiming"},
            "tanh, Xavier": {"activation": "tanh", "init": "xavier"},
            "sigmoid, Xavier": {"activation": "sigmoid", "init": "xavier"},
            "ReLU, Xavier": {"init": "xavier"},
        },
    ),
    Question(
        name="Optimizers",
        taught="Momentum and steps scaled by second moments are faster at the start; a tuned SGD with momentum ends as "
        "well or better (Q-062, Q-068).",
        shared={"model": "cifar_resnet20"},
        arms={
            "SGD with momentum": {},
            "SGD": {"momentum": 0.0},
            "RMSprop": {"optimizer": "rmsprop", "lr": 0.001},
            "Adam": {"optimizer": "adam", "lr": 0.001},
            "AdamW": {"optimizer": "adamw", "lr": 0.001, "weight_decay": 0.05},
        },
    ),
    Question(
        name="Against overfitting on few images",
        taught="More (augmented) data first, then penalties, dropout and stopping early (Q-057, Q-054, Q-056).",
        shared={"model": "cifar_resnet20", "subset": "1/20", "epochs": 40, "weight_decay": 0.0},
        arms={
            "nothing": {},
            "L2, 5e-4": {"weight_decay": 5e-4},
            "L2, 5e-3": {"weight_decay": 5e-3},
            "L1, 1e-5": {"l1": 1e-5},
            "stopped early": {"validate_every": 2, "patience": 3},
            "augmented": {"augment": 0.5},
            "mixup": {"mixup": 0.5},
        },
    ),
    Question(
        name="Size of the batch",
        taught="Small batches are noisy and make many steps; with as many epochs large ones are behind, even at a rate "
        "that grows with them (Q-066).",
        shared={"model": "cifar_resnet20"},
        arms={
            "32 images": {},
            "8 images": {"batch_size": 8, "lr": 0.0125},
            "128 images": {"batch_size": 128, "lr": 0.2},
            "512 images": {"batch_size": 512, "lr": 0.8},
        },
    ),
)


def images(data: Path, out: Path) -> Path:
    """Return a folder of class folders: CIFAR-10's training images and some of its test images."""
    root = out / "cifar10"
    if not (root / "done").is_file():
        shutil.rmtree(root, ignore_errors=True)
        with tarfile.open(data / "cifar10" / "cifar10_subset.tar.xz") as archive:
            archive.extractall(root, filter="data")
        for folder in sorted((root / "test").iterdir()):
            for file in sorted(folder.iterdir())[TEST_IMAGES // 10 :]:
                file.unlink()
        (root / "done").touch()
    return root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=Path("comparison-runs"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--questions", nargs="+", help="beginnings of names; all if left out")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--table-only", action="store_true", help="write what has been measured already")
    given = parser.parse_args()
    if not given.data.is_dir():
        sys.exit(f"{given.data}: expected the folder of the real data sets. Name it with --data.")
    place = images(given.data, given.out)
    console = Console(stderr=True)
    parts, missing = [], []
    for question in COMPARISONS:
        folder = given.out / "".join(letter if letter.isalnum() else "-" for letter in question.name.lower())
        wanted = not given.questions or question.name.startswith(tuple(given.questions))
        if wanted and not given.table_only:
            snellen.ablate(place, arms=question.arms, seeds=given.seeds, split="test", folder=folder, check=False,
                           processes=given.processes, console=console,
                           **{**SHARED, **question.shared})  # fmt: skip
        table = folder / "ablation.md"
        if table.is_file():
            parts += [f"## {question.name}", "", f"Taught: {question.taught}", "", table.read_text(encoding="utf-8")]
        else:
            missing.append(question.name)
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    head = (
        f"# What the field teaches, measured\n\n`python benchmarks/comparisons.py`; Snellen {snellen.__version__}, "
        f"{versions}.\nCIFAR-10 at 32 px: a quarter of the 10,216 training images unless said otherwise, "
        f"{TEST_IMAGES} test images; SGD, rate 0.05, cosine, six epochs unless a\nrow says otherwise. Small and short: "
        "what is shown is the direction at this budget, and whether it is beyond the spread of the seeds.\n"
    )
    tail = [f"Not measured yet: {', '.join(missing)}."] if missing else []
    (HERE / "results" / "comparisons.md").write_text("\n".join([head, *parts, *tail]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
