"""Treatments of the descent: rate, warm-up, clipping, batch, optimizer, first weights, activations, norms, length."""

from snellen.doctor import Finding
from snellen.recipes.treating.remedy import Change, Changes, Remedy, model_option, option, times
from snellen.recipes.treating.situation import Situation

__all__ = [
    "ACCUMULATE",
    "ADAMW",
    "AVERAGED",
    "CLIP",
    "DECAY_LESS",
    "DECAY_MORE",
    "GELU",
    "GROUP_NORM",
    "HIGHER_RATE",
    "IDENTITY_BLOCKS",
    "KAIMING",
    "LARGER_BATCH",
    "LEAKY",
    "LONGER",
    "LOWER_RATE",
    "MUCH_LOWER_RATE",
    "ORTHOGONAL",
    "PATIENCE",
    "RELU",
    "SGD",
    "SINGLE_PRECISION",
    "TIGHT_CLIP",
    "USUAL_ACTIVATION",
    "USUAL_BATCH",
    "USUAL_CLIP",
    "USUAL_RATE",
    "USUAL_WARMUP",
    "WARMUP",
    "XAVIER",
]

_STEPS = "steps"  # job of whatever changes how far a step goes
_TIMES = 10.0  # between two rates that are tried; AutoTrainer tries powers of ten
_LEAST_DECAY, _MOST_DECAY = 1e-4, 0.5
_WARMUP_SHARE = 0.1  # of all steps; twice what is usual here, mmdetection's answer to a loss that is not finite
_LARGEST_BATCH = 256
_NOT_GIVEN = "what is chosen where nothing is given"
_LAYERS = {"relu": "ReLU", "leaky_relu": "LeakyReLU", "gelu": "GELU"}  # of activations, by their words
# What is chosen anew for another optimizer, whatever was given for the one before.
_AS_USUAL = {
    "lr": None,
    "weight_decay": None,
    "momentum": None,
    "nesterov": None,
    "switch_epoch": None,
    "switch_lr": None,
}


def _warmup(run: Situation, finding: Finding) -> Changes | None:
    del finding
    steps = _steps(run)
    wanted = max(1, round(_WARMUP_SHARE * steps))
    return {"warmup_steps": wanted} if wanted > run.settings["warmup_steps"] else None


def _steps(run: Situation) -> int:
    """Return the steps of the run, about."""
    per_epoch = max(1, round(len(run.train_images) / run.record["batch_size"] / run.settings["accumulate"]))
    return int(run.settings["epochs"] * per_epoch)


def _as_chosen(*names: str) -> Change:
    """Return a change that takes back what was given for some options: then they are chosen as ever."""

    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        given = [name for name in names if getattr(run.given, name) is not None]
        return dict.fromkeys(given) if given else None

    return change


def _longer(run: Situation, finding: Finding) -> Changes | None:
    del finding
    return {"epochs": 2 * int(run.settings["epochs"])}


def _larger_batch(run: Situation, finding: Finding) -> Changes | None:
    """Return four times the batch, with the rate that belongs to it unless it was given."""
    del finding
    size = 4 * int(run.record["batch_size"])
    return {"batch_size": size} if size <= _LARGEST_BATCH else None


def _accumulate(run: Situation, finding: Finding) -> Changes | None:
    del finding
    return {"accumulate": 4} if run.settings["accumulate"] < 4 else None


def _adamw(run: Situation, finding: Finding) -> Changes | None:
    del finding
    if run.settings["optimizer"] == "adamw":
        return None
    return {"optimizer": "adamw", **_AS_USUAL}


def _sgd(run: Situation, finding: Finding) -> Changes | None:
    """Return SGD with momentum, which generalises better from given weights; Wilson et al. 2017."""
    del finding
    if run.settings["optimizer"] == "sgd":
        return None
    return {"optimizer": "sgd", **_AS_USUAL}


def _averaged(run: Situation, finding: Finding) -> Changes | None:
    del finding
    last = int(run.settings["epochs"]) // 4
    if last < 1 or run.settings["swa_epochs"] or run.settings["schedule"] == "snapshot":
        return None
    return {"swa_epochs": last, "ema": 0.0}


def _group_norm(run: Situation, finding: Finding) -> Changes | None:
    del finding
    return None if run.has_weights or "norm" not in run.known or _has(run, "norm_name", "group") else {"norm": "group"}


def _has(run: Situation, name: str, word: str) -> bool:
    return bool(run.record["model_options"].get(name) == word)


def _activation(word: str) -> Remedy:
    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        is_so = run.activations <= {_LAYERS[word]}
        return None if run.has_weights or not run.descends or is_so else {"activation": word}

    sources = {
        "leaky_relu": "Maas et al. 2013; AutoTrainer's order for dead units",
        "gelu": "Hendrycks and Gimpel 2016",
        "relu": "Nair and Hinton 2010; Glorot et al. 2011; AutoTrainer's order for vanishing gradients",
    }
    return Remedy(name=f"activation {word}", change=change, source=sources[word], job="activation")


def _drawn(word: str, source: str) -> Remedy:
    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        return None if run.has_weights or not run.descends or run.record.get("init") == word else {"init": word}

    return Remedy(name=f"{word} first weights", change=change, source=source, job="init")


LOWER_RATE = Remedy(name="a tenth of the rate", change=times("lr", 1 / _TIMES), source="AutoTrainer, lr", job=_STEPS)
MUCH_LOWER_RATE = Remedy(name="a hundredth of the rate", change=times("lr", _TIMES**-2), source="AutoTrainer, lr",
                         job=_STEPS)  # fmt: skip
HIGHER_RATE = Remedy(name="ten times the rate", change=times("lr", _TIMES), source="AutoTrainer, lr", job=_STEPS)
USUAL_RATE = Remedy(name="the usual rate", change=_as_chosen("lr"), source=_NOT_GIVEN, job=_STEPS)
USUAL_WARMUP = Remedy(name="the usual warm-up", change=_as_chosen("warmup_steps"), source=_NOT_GIVEN, job="warm-up")
USUAL_CLIP = Remedy(name="the usual clipping", change=_as_chosen("clip_norm", "clip_value"), source=_NOT_GIVEN,
                    job="clip")  # fmt: skip
USUAL_ACTIVATION = Remedy(name="the usual activation", change=_as_chosen("activation"), source=_NOT_GIVEN,
                          job="activation")  # fmt: skip
USUAL_BATCH = Remedy(name="the usual batch", change=_as_chosen("batch_size"), source=_NOT_GIVEN, job=_STEPS)
WARMUP = Remedy(name="longer warm-up", change=_warmup, source="Goyal et al. 2017, section 2.2; mmdetection's FAQ")
CLIP = Remedy(name="clip gradients at 10", change=option("clip_norm", 10.0), source="Pascanu et al. 2013", job="clip")
TIGHT_CLIP = Remedy(
    name="clip gradients at 1", change=option("clip_norm", 1.0), source="Pascanu et al. 2013", job="clip"
)
LARGER_BATCH = Remedy(name="four times the batch", change=_larger_batch, source="Smith et al. 2018", job=_STEPS)
ACCUMULATE = Remedy(name="four batches a step", change=_accumulate, source="McCandlish et al. 2018", job=_STEPS)
ADAMW = Remedy(name="AdamW", change=_adamw, source="Loshchilov and Hutter 2019; AutoTrainer", job=_STEPS)
SGD = Remedy(name="SGD with momentum", change=_sgd, source="Wilson et al. 2017", job=_STEPS)
LONGER = Remedy(name="twice the epochs", change=_longer, source="Hoffer et al. 2017", job="length")
PATIENCE = Remedy(name="stop after 5 validations without progress", change=option("patience", 5),
                  source="Prechelt 1998", job="length")  # fmt: skip
DECAY_MORE = Remedy(name="ten times the weight decay", source="AutoTrainer, overfitting", job="decay",
                    change=times("weight_decay", _TIMES, least=_LEAST_DECAY, most=_MOST_DECAY))  # fmt: skip
DECAY_LESS = Remedy(name="a tenth of the weight decay", change=times("weight_decay", 1 / _TIMES), source="own",
                    job="decay")  # fmt: skip
GROUP_NORM = Remedy(name="group norm", change=_group_norm, source="Wu and He 2018", job="norm")
IDENTITY_BLOCKS = Remedy(name="residual blocks begin as the identity", change=model_option("zero_init", value=True),
                         source="Goyal et al. 2017, section 5.1", job="init")  # fmt: skip
KAIMING = _drawn("kaiming", "He et al. 2015; AutoTrainer, initialiser")
XAVIER = _drawn("xavier", "Glorot and Bengio 2010; AutoTrainer, initialiser")
ORTHOGONAL = _drawn("orthogonal", "Saxe et al. 2014; Hu et al. 2020")
AVERAGED = Remedy(name="average the weights of the last quarter", change=_averaged, source="Izmailov et al. 2018",
                  job="average")  # fmt: skip
LEAKY, GELU, RELU = _activation("leaky_relu"), _activation("gelu"), _activation("relu")
SINGLE_PRECISION = Remedy(name="float32", change=option("precision", "fp32"), source="Micikevicius et al. 2018")
