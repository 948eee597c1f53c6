"""snellen train."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from snellen.cli.choices import Activation, Init, NormKind, Optimizer, Padding, Precision, SamplerName, Schedule
from snellen.cli.reading import Columns, Separator, Task
from snellen.cli.training_options import configured_data, given_keywords

__all__ = ["train"]


def train(
    context: typer.Context,
    data: Annotated[
        str, typer.Argument(help="A data set in any known format, or the name of built-in charts.")
    ] = "charts",
    model: Annotated[str | None, typer.Option("--model", "-m", help="Name from `snellen models`.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Start from these weights (.pth, .pt, .safetensors, darknet's .weights).")
    ] = None,
    mean: Annotated[str | None, typer.Option(help="R,G,B in 0..1 that the weights expect.")] = None,
    std: Annotated[str | None, typer.Option(help="Spread of R,G,B that the weights expect.")] = None,
    padding: Annotated[Padding | None, typer.Option(help="`same` for weights trained with TensorFlow.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Short side in pixels (side, for classification).")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per batch.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    optimizer: Annotated[Optimizer | None, typer.Option(help="Rule of the steps.")] = None,
    momentum: Annotated[float | None, typer.Option(help="Of SGD.")] = None,
    nesterov: Annotated[bool | None, typer.Option("--nesterov", help="SGD looks ahead along its momentum.")] = None,
    switch_epoch: Annotated[
        int | None, typer.Option(help="Epoch after which SGD takes over, with --switch-lr.")
    ] = None,
    switch_lr: Annotated[float | None, typer.Option(help="Peak learning rate of that SGD.")] = None,
    schedule: Annotated[Schedule | None, typer.Option(help="Course of the learning rate.")] = None,
    milestone: Annotated[
        list[int] | None, typer.Option(help="Epoch at which `multistep` lowers the rate; may be repeated.")
    ] = None,
    power: Annotated[float | None, typer.Option(help="Of `polynomial`.")] = None,
    cycles: Annotated[int | None, typer.Option(help="Of `snapshot`; weights are kept at the end of each.")] = None,
    plateau_patience: Annotated[
        int | None, typer.Option(help="Validations without a lower loss after which `plateau` halves the rate.")
    ] = None,
    swa_epochs: Annotated[int | None, typer.Option(help="Last epochs whose weights are averaged equally.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Not applied to norms and biases.")] = None,
    l1: Annotated[float | None, typer.Option(help="Absolute penalty, which makes weights exactly zero.")] = None,
    finetune: Annotated[
        str | None, typer.Option(help="With --weights: auto, all, head, last:N, gradual or scratch.")
    ] = None,
    layer_decay: Annotated[
        float | None, typer.Option(help="Share of the rate from one stage of the backbone to the one before.")
    ] = None,
    freeze: Annotated[str | None, typer.Option(help="Stage up to which nothing learns, such as c2.")] = None,
    warmup_steps: Annotated[int | None, typer.Option(help="Steps until the rate is at its peak.")] = None,
    accumulate: Annotated[int, typer.Option(help="Batches per step.")] = 1,
    clip_norm: Annotated[float | None, typer.Option(help="Longest gradient; 0 for no limit.")] = None,
    clip_value: Annotated[float | None, typer.Option(help="Greatest size of each number of the gradient.")] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of the averaged weights; 0 for none.")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many validations without progress.")] = None,
    precision: Annotated[Precision | None, typer.Option(help="Arithmetic of the forward pass.")] = None,
    augment: Annotated[float | None, typer.Option(help="Strength of the augmentation, 0 to 1.")] = None,
    flip: Annotated[bool | None, typer.Option("--flip/--no-flip", help="Mirror images are right.")] = None,
    mosaic: Annotated[float, typer.Option(help="Share of images made a mosaic of four.", min=0, max=1)] = 0.0,
    mixup: Annotated[float, typer.Option(help="Share of images blended with another.", min=0, max=1)] = 0.0,
    copy_paste: Annotated[float, typer.Option(help="Share of images that get objects of another.", min=0, max=1)] = 0.0,
    cutmix: Annotated[float, typer.Option(help="Share of images with a rectangle of another.", min=0, max=1)] = 0.0,
    randaugment: Annotated[
        str | None, typer.Option(help="N,M: operations and magnitude of RandAugment, such as 2,9.")
    ] = None,
    erase: Annotated[
        float, typer.Option(help="Share of images of which a rectangle becomes noise.", min=0, max=1)
    ] = 0.0,
    noise: Annotated[
        float, typer.Option(help="Greatest deviation of noise on images, in levels of 0 to 255.", min=0, max=255)
    ] = 0.0,
    crop: Annotated[int | None, typer.Option(help="Side in pixels of squares cut out of images with masks.")] = None,
    balanced_crops: Annotated[
        float, typer.Option(help="Share of cuts of masks that hold a class drawn from those shown.", min=0, max=1)
    ] = 0.0,
    ignored_band: Annotated[
        int | None, typer.Option(help="Pixels about the borders of masks that count for nothing in training.")
    ] = None,
    enhance: Annotated[
        str | None, typer.Option(help="Operations on every image, in use too, such as clahe,neutral_light.")
    ] = None,
    multi_scale: Annotated[
        bool | None, typer.Option("--multi-scale/--no-multi-scale", help="Another image size every ten batches.")
    ] = None,
    sampler: Annotated[
        SamplerName | None, typer.Option(help="Which images an epoch shows; all but the first favour rare classes.")
    ] = None,
    subset: Annotated[
        str | None, typer.Option(help="I/K: the I-th of K balanced parts of the training images, such as 2/10.")
    ] = None,
    loss: Annotated[str | None, typer.Option(help="What the model minimises, such as focal.")] = None,
    class_weights: Annotated[
        str | None,
        typer.Option(
            help="inverse, inverse_sqrt, effective_number, median_frequency (of pixels), numbers in label order, or "
            "NAME=NUMBER,…."
        ),
    ] = None,
    headline: Annotated[
        str | None, typer.Option(help="accuracy, balanced_accuracy or macro_F1: decides which weights are best.")
    ] = None,
    proposals: Annotated[
        str | None, typer.Option(help="single, fast, quality (selective search) or a file; R-CNN, SPPNet, Fast R-CNN.")
    ] = None,
    activation: Annotated[Activation | None, typer.Option(help="In the place of the network's own.")] = None,
    norm: Annotated[NormKind | None, typer.Option(help="In the place of the network's own; without weights.")] = None,
    init: Annotated[Init | None, typer.Option(help="How first weights are drawn; without weights.")] = None,
    set_option: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE for the model, as in `snellen models NAME`; may be repeated."),
    ] = None,
    repairs: Annotated[
        Path | None, typer.Option(help="File of training images to leave out and labels to change (YAML, JSON).")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="File of options, as `snellen treat` writes it; what is typed wins.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    split_seed: Annotated[
        int | None, typer.Option(help="Of the splits that the data lack; --seed if left out.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read images.")] = None,
    validate_every: Annotated[int | None, typer.Option(help="Epochs between validations.")] = None,
    format_name: Annotated[str | None, typer.Option("--format", help="Where recognising it fails.")] = None,
    classes: Annotated[str | None, typer.Option(help="Names in label order, with commas between.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images, if elsewhere.")] = None,
    ignore_index: Annotated[int | None, typer.Option(help="Mask value that counts for nothing.")] = None,
    task: Task = None,
    columns: Columns = None,
    separator: Separator = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run.")] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Train so many, with seeds from --seed on, as one ensemble.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Train one for each of so many folds, judged on the fold, as one ensemble.")
    ] = None,
    subsets: Annotated[
        int | None, typer.Option(help="Train one on each of so many balanced subsets, as one ensemble.")
    ] = None,
    bootstrap: Annotated[
        int | None, typer.Option(help="Train one on each of so many draws with replacement (bagging), as one ensemble.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(help="Of --seeds, --folds, --subsets or --bootstrap: the best so many.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    check: Annotated[bool, typer.Option(help="Look for faults in data and settings first.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Train although faults were found.")] = False,
    tensorboard: Annotated[bool, typer.Option(help="Write TensorBoard's files.")] = True,
) -> None:
    """Train a model, measure it on what it has not seen, write a report.

    Whatever is left out is chosen from the data and the device; the choice is printed with its reason. Ctrl-C saves;
    --resume goes on, with the same result as if there had been no break. Faults in data and settings are looked for
    first, as `snellen check` does within seconds; only proven ones that spoil the training stop it.

    [bold]Examples[/bold]

    snellen train                                      built-in eye charts

    snellen train photos/                              a folder for each class

    snellen train coco/ --model faster_rcnn_r50_fpn --weights fasterrcnn.pth --epochs 12

    snellen train photos/ --model retinanet_r18_fpn --set gamma=1.5

    snellen train photos/ --weights resnet18.pth --model resnet18 --finetune gradual

    snellen train skin/ --class-weights inverse --randaugment 2,9 --cutmix 0.5

    snellen train skin/ --sampler class_balanced --set logit_adjustment=post_hoc

    snellen train street/ --crop 256 --balanced-crops 0.5 --ignored-band 2

    snellen train night/ --enhance stretch,neutral_light       the same light in training and in use

    snellen train photos/ --folds 5 --keep 3

    snellen train --config runs/treatment/treated.yaml

    snellen train --resume runs/faster_rcnn_r18_fpn
    """
    given = dict(locals())  # every option, before anything else has a name here
    from snellen import recipes
    from snellen.cli.console import console

    if resume is not None:
        _refuse_others(context)
        is_group = (resume / "members.json").exists()
        run = (recipes.resume_members if is_group else recipes.resume)(resume, console=console())
    else:
        trainer = _trainer({"seeds": seeds, "folds": folds, "subsets": subsets, "bootstrap": bootstrap}, keep)
        run = trainer(
            configured_data(context, given),
            console=console(),
            check=check,
            force=force,
            **given_keywords(context, given),
        )
    if not run.report.exists():
        raise typer.Exit(130)


def _trainer(counts: Mapping[str, int | None], keep: int | None) -> Callable[..., Any]:
    """Return what trains: one model, or several that become one."""
    from snellen import recipes
    from snellen.errors import ConfigError

    given = [(kind, count) for kind, count in counts.items() if count is not None]
    if not given and keep is None:
        return recipes.train
    if len(given) != 1:
        names = ", ".join(f"--{kind}" for kind in counts)
        raise ConfigError(f"give one of {names}, alone or with --keep; got {len(given)} of them.")
    kind, count = given[0]
    plan = recipes.MemberPlan(kind=kind, count=count, keep=keep)  # type: ignore[arg-type]  # one of the four words
    return partial(recipes.train_members, plan=plan)


def _refuse_others(context: typer.Context) -> None:
    from snellen.errors import ConfigError

    given = [
        parameter.opts[0] if parameter.param_type_name == "option" else str(context.params[name])
        for parameter in context.command.params
        if (name := parameter.name or "") != "resume"
        and (source := context.get_parameter_source(name)) is not None
        and source.name == "COMMANDLINE"
    ]
    if given:
        raise ConfigError(
            f"--resume goes on with the data and the settings of the run; got {', '.join(given)} too. "
            "Leave them out, or start a new run."
        )
