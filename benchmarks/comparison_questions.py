"""The questions of ``comparisons.py``: what is compared, on which data, and what was published about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["COMPARISONS", "DATA_SETS", "SHARED", "WEIGHTS", "ZEROS", "DataSet", "Question"]

ZEROS = "{zeros}"  # the file of a network whose weights are all 0
WEIGHTS = "{weights}"  # MobileNetV2's of ImageNet


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Images that are drawn once, the same for all configurations and seeds.

    Attributes:
        source: ``mnist``, ``cifar10`` or ``hymenoptera``.
        train: Training images of each class, or of the classes by name.
        val: Validation images of each class, or of the classes by name.
        test: Test images of each class, at most.
    """

    source: str
    train: int | Mapping[str, int]
    val: int | Mapping[str, int]
    test: int


DATA_SETS: Mapping[str, DataSet] = {
    "mnist": DataSet(source="mnist", train=250, val=20, test=100),
    "cifar10": DataSet(source="cifar10", train=250, val=20, test=100),
    "few": DataSet(source="cifar10", train=50, val=20, test=100),
    "rare": DataSet(source="mnist", train={"4": 500, "9": 10}, val={"4": 100, "9": 2}, test=500),
    "ants 10": DataSet(source="hymenoptera", train=10, val=10, test=500),
    "ants 100": DataSet(source="hymenoptera", train=100, val=10, test=500),
    "ants 60": DataSet(source="hymenoptera", train=60, val=10, test=500),
}
SHARED: Mapping[str, Any] = {
    "image_size": 16,
    "batch_size": 32,
    "optimizer": "sgd",
    "lr": 0.05,
    "weight_decay": 5e-4,
    "augment": 0.0,
    "flip": False,
    "ema": 0.0,
    "warmup_steps": 10,
    "precision": "fp32",
    "validate_every": 1000,
    "tensorboard": False,
    "workers": 0,
    "epochs": 3,
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """One comparison.

    Attributes:
        name: For the heading.
        published: What papers and textbooks say, with their figures.
        arms: Configurations; the first is the base.
        data: One of ``DATA_SETS``.
        shared: Options of all of them beside ``SHARED``.
        figures: Beside the headline.
        rare: The rare class of two, and how many common images there are for each of its: a table of precision, recall
            and F1 of both classes is added. None for other questions.
    """

    name: str
    published: str
    arms: Mapping[str, Mapping[str, Any]]
    data: str = "mnist"
    shared: Mapping[str, Any] = field(default_factory=dict)
    figures: tuple[str, ...] = ()
    rare: tuple[str, int] | None = None


_PLANS: Mapping[str, Mapping[str, Any]] = {
    "all": {"finetune": "all"},
    "chosen (auto)": {},
    "head alone": {"finetune": "head"},
    "gradual": {"finetune": "gradual"},
    "from scratch": {"finetune": "scratch"},
}
_TUNED: Mapping[str, Any] = {
    "model": "mobilenet_v2",
    "weights": WEIGHTS,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "padding": "same",
    "image_size": 96,
    "batch_size": 16,
    "optimizer": None,
    "lr": None,
    "weight_decay": None,
    "flip": True,
    "ema": None,
    "warmup_steps": None,
}
_NO_NORM: Mapping[str, Any] = {"model": "cifar_plain20", "norm": "none"}

COMPARISONS = (
    Question(  # ERR-016, ERR-093
        name="Depth with and without short cuts",
        published="Top-1 error on ImageNet, ten crops: plain 18 layers 27.94 %, plain 34 28.54 %; with short cuts 18 "
        "layers 27.88 %, 34 25.03 % (He et al. 2015, table 2): deeper is worse without short cuts, better with.",
        shared={"image_size": 32, "epochs": 2},
        arms={
            "plain, 18 layers": {"model": "plain18"},
            "plain, 34 layers": {"model": "plain34"},
            "short cuts, 18 layers": {"model": "resnet18"},
            "short cuts, 34 layers": {"model": "resnet34"},
        },
    ),
    Question(
        name="Depth for small images",
        published="On CIFAR-10 the plain network of 56 layers has a higher training and test error than that of 20; "
        "with short cuts 8.75 % at 20 layers and 6.97 % at 56 (He et al. 2015, figure 6 and table 6).",
        data="cifar10",
        shared={"image_size": 32, "epochs": 2, "flip": True},
        arms={
            "plain, 20 layers": {"model": "cifar_plain20"},
            "plain, 56 layers": {"model": "cifar_plain56"},
            "short cuts, 20 layers": {"model": "cifar_resnet20"},
            "short cuts, 56 layers": {"model": "cifar_resnet56"},
        },
    ),
    Question(  # SYS-200; ERR-006 in part: low rates are slow, and converge
        name="Batch norm and high rates",
        published="Inception reaches 72.2 % after 31.0 million steps; with batch norm and 5 times its rate 73.0 % "
        "after 2.1 million, with 30 times its rate 74.8 % (Ioffe & Szegedy 2015, figure 3); without, they diverge.",
        shared={"model": "cifar_plain20", "clip_norm": 0.0, "warmup_steps": 0},
        arms={
            f"{'with' if norm == 'batch' else 'without'} batch norm, rate {rate:g}": {"norm": norm, "lr": rate}
            for norm in ("none", "batch")
            for rate in (0.01, 0.1, 1.0)
        },
    ),
    Question(  # ERR-024
        name="Activations in 20 layers without norms",
        published="ReLU reaches 25 % training error on CIFAR-10 six times as fast as tanh (Krizhevsky et al. 2012, "
        "figure 1); the slope of a sigmoid is at most 1/4, and deep networks of them hardly learn (Glorot & Bengio "
        "2010, section 3). Maxout: 11.68 % error on CIFAR-10 (Goodfellow et al. 2013, table 3).",
        shared={**_NO_NORM, "lr": 0.02},
        arms={
            "ReLU": {"init": "kaiming"},
            "leaky ReLU": {"activation": "leaky_relu", "init": "kaiming"},
            "ELU": {"activation": "elu", "init": "kaiming"},
            "maxout": {"activation": "maxout"},
            "tanh": {"activation": "tanh", "init": "xavier"},
            "sigmoid": {"activation": "sigmoid", "init": "xavier"},
        },
    ),
    Question(
        name="First weights",
        published="With ReLU, He's spread lets 30 layers converge where Xavier's stalls; with 22 it is faster (He et "
        "al. 2015, Delving deep, figures 2 and 3). Of equal weights all units learn the same.",
        shared={**_NO_NORM, "lr": 0.02},
        arms={
            "He": {"init": "kaiming"},
            "Xavier": {"init": "xavier"},
            "orthogonal": {"init": "orthogonal"},
        },
    ),
    Question(
        name="Weights that begin at zero",
        published="All units of a layer then get the same gradient, behind the last layer none at all: the network "
        "learns how frequent classes are (cs231n, notes on initialisation).",
        shared={"model": "lenet5_modern", "image_size": 28, "lr": 0.02},
        arms={
            "He": {"init": "kaiming"},
            "zero": {"weights": ZEROS, "finetune": "all"},
        },
    ),
    Question(
        name="Two 3×3 or one 5×5",
        published="A net of five 5×5 convolutions in the place of VGG-B's pairs of 3×3 has a top-1 error 7 points "
        "higher (Simonyan & Zisserman 2014, section 4.1).",
        data="cifar10",
        shared={
            "model": "vgg13_bn",
            "flip": True,
            "epochs": 3,
            "lr": 0.02,
            "model_options": {"fc_width": 64, "dropout": 0.0},
        },
        arms={
            "pairs of 3×3": {},
            "one 5×5": {"model_options": {"fc_width": 64, "dropout": 0.0, "backbone": "vgg_5x5_bn"}},
        },
    ),
    Question(  # ERR-005
        name="Optimizers",
        published="Momentum and steps scaled by second moments are faster at the start; a tuned SGD with momentum ends "
        "with a lower test error than RMSprop and Adam (Wilson et al. 2017, section 4).",
        data="cifar10",
        shared={"model": "cifar_resnet20", "flip": True, "epochs": 4},
        arms={
            "SGD with momentum": {},
            "SGD": {"momentum": 0.0},
            "RMSprop": {"optimizer": "rmsprop", "lr": 0.001},
            "Adam": {"optimizer": "adam", "lr": 0.001},
            "AdamW": {"optimizer": "adamw", "lr": 0.001, "weight_decay": 0.05},
        },
    ),
    Question(
        name="Against overfitting on 500 images",
        published="A convolutional network for CIFAR-10: error 14.98 %, with dropout in all layers 12.61 % "
        "(Srivastava et al. 2014, table 4); more images, real or augmented, come first, then penalties and stopping.",
        data="few",
        shared={"model": "cifar_resnet20", "epochs": 25, "weight_decay": 0.0},
        figures=("NLL",),
        arms={
            "nothing": {},
            "L2, 5e-4": {"weight_decay": 5e-4},
            "L2, 5e-3": {"weight_decay": 5e-3},
            "L1, 1e-5": {"l1": 1e-5},
            "dropout, 0.3": {"model_options": {"dropout": 0.3}},
            "stopped early": {"validate_every": 2, "patience": 3},
            "mirrored": {"flip": True},
            "mirrored, augmented": {"flip": True, "augment": 0.5},
            "mixup": {"mixup": 0.5},
        },
    ),
    Question(
        name="Shuffled or not",
        published="Stochastic steps need examples in random order (LeCun et al. 1998, Efficient BackProp, section 4.2; "
        "Bottou 2012); class after class, a network forgets the one before.",
        shared={"model": "cifar_resnet20"},
        arms={"shuffled": {}, "class after class": {"sampler": "in_order"}},
    ),
    Question(  # ERR-008
        name="Size of the batch",
        published="As many epochs with larger batches, at a rate in proportion, give the same error up to 8192 images "
        "on ImageNet, above it is higher (Goyal et al. 2017, figure 1). Of small data that limit is small.",
        data="cifar10",
        shared={"model": "cifar_resnet20", "flip": True, "epochs": 4},
        arms={
            "32 images": {},
            "8 images": {"batch_size": 8, "lr": 0.0125},
            "128 images": {"batch_size": 128, "lr": 0.2},
            "512 images": {"batch_size": 512, "lr": 0.8},
        },
    ),
    Question(
        name="A class of 1 : 50",
        published="Oversampling is best or nearly so in almost all cases, and thresholding corrects the rest (Buda et "
        "al. 2018, on MNIST, CIFAR-10 and ImageNet; no figures for two digits). More remedies: imbalance.md.",
        data="rare",
        shared={"model": "cifar_resnet20", "headline": "balanced_accuracy", "epochs": 10},
        rare=("9", 50),
        arms={
            "nothing": {},
            "class-balanced sampling": {"sampler": "class_balanced"},
            "oversampling": {"sampler": "oversampled", "epochs": 5},
            "undersampling": {"sampler": "undersampled", "epochs": 255},
            "weights, inverse": {"class_weights": "inverse"},
            "focal loss": {"loss": "focal"},
        },
    ),
    Question(
        name="Fine-tuning on 10 images of a class",
        published="With few images like those of the pretraining only the head, with more the rest too (cs231n, notes "
        "on transfer; Yosinski et al. 2014). More sizes: finetuning.md.",
        data="ants 10",
        shared={**_TUNED, "epochs": 20},
        arms=_PLANS,
    ),
    Question(
        name="Fine-tuning on 60 images of a class",
        published="As above; with ten times the images a network from scratch is still behind (Kornblith et al. 2019, "
        "section 4.7: on small sets it takes tens of times as many).",
        data="ants 60",
        shared={**_TUNED, "epochs": 6},
        arms=_PLANS,
    ),
)
