"""snellen check."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snellen.cli.choices import Optimizer, Padding, Precision, SamplerName, Schedule, assignments, colour, comma_list
from snellen.cli.reading import Columns, Separator, Task, read_options

if TYPE_CHECKING:  # importing it takes seconds
    from snellen.doctor import Diagnosis

__all__ = ["FOUND", "FailOn", "check"]

FOUND = 7  # exit status: something was found at the level that is asked for
_BROKEN = 1  # exit status: a check broke, which is a fault of Snellen


class FailOn(StrEnum):
    """Levels from which findings decide the exit status."""

    error = "error"
    warning = "warning"


def check(
    data: Annotated[
        str, typer.Argument(help="A data set in any known format, the name of built-in charts, or the folder of a run.")
    ] = "charts",
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Check the training of this model on the data too.")
    ] = None,
    select: Annotated[
        str | None, typer.Option(help="Only these checks: codes or names with commas between, D for all of data.")
    ] = None,
    ignore: Annotated[str | None, typer.Option(help="Leave out these checks.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="File of accepted findings, which are not shown.")] = None,
    write_baseline: Annotated[
        Path | None, typer.Option(help="Write a file that accepts all that is found now.")
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="With --model: test a range of learning rates too; for a run: measure its training images and predict "
            "some images anew. Takes minutes.",
        ),
    ] = False,
    against: Annotated[Path | None, typer.Option(help="For a run: another one, to compare the results with.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures.")] = None,
    json: Annotated[str | None, typer.Option("--json", help="Write JSON to this file, or to - for the output.")] = None,
    sarif: Annotated[str | None, typer.Option(help="Write SARIF 2.1.0 to this file, or to - for the output.")] = None,
    lang: Annotated[str | None, typer.Option(help="en or zh; SNELLEN_LANG or the locale if left out.")] = None,
    fail_on: Annotated[FailOn, typer.Option(help="Level from which the exit status is 7.")] = FailOn.error,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 whatever is found.")] = False,
    max_places: Annotated[int, typer.Option(help="Places to print of each finding.", min=0)] = 5,
    weights: Annotated[
        Path | None, typer.Option(help="Weights that training will start from (.pth, .pt, .safetensors, .weights).")
    ] = None,
    mean: Annotated[str | None, typer.Option(help="R,G,B in 0..1 that the weights expect.")] = None,
    std: Annotated[str | None, typer.Option(help="Spread of R,G,B that the weights expect.")] = None,
    padding: Annotated[Padding | None, typer.Option(help="`same` for weights trained with TensorFlow.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Short side in pixels (side, for classification).")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per batch.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    optimizer: Annotated[Optimizer | None, typer.Option(help="Rule of the steps.")] = None,
    schedule: Annotated[Schedule | None, typer.Option(help="Course of the learning rate.")] = None,
    milestone: Annotated[
        list[int] | None, typer.Option(help="Epoch at which `multistep` lowers the rate; may be repeated.")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Not applied to norms and biases.")] = None,
    warmup_steps: Annotated[int | None, typer.Option(help="Steps until the rate is at its peak.")] = None,
    accumulate: Annotated[int, typer.Option(help="Batches per step.")] = 1,
    precision: Annotated[Precision | None, typer.Option(help="Arithmetic of the forward pass.")] = None,
    augment: Annotated[float | None, typer.Option(help="Strength of the augmentation, 0 to 1.")] = None,
    flip: Annotated[bool | None, typer.Option("--flip/--no-flip", help="Mirror images are right.")] = None,
    sampler: Annotated[SamplerName | None, typer.Option(help="Which images an epoch shows.")] = None,
    proposals: Annotated[str | None, typer.Option(help="For R-CNN, SPPNet and Fast R-CNN, as in `train`.")] = None,
    set_option: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE for the model, as in `snellen models NAME`; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …")] = None,
    format_name: Annotated[str | None, typer.Option("--format", help="Where recognising it fails.")] = None,
    classes: Annotated[str | None, typer.Option(help="Names in label order, with commas between.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images, if elsewhere.")] = None,
    ignore_index: Annotated[int | None, typer.Option(help="Mask value that counts for nothing.")] = None,
    task: Task = None,
    columns: Columns = None,
    separator: Separator = None,
) -> None:
    """Say what is wrong with a data set, with a training that is planned on it (--model), or with a run that was done.

    Findings go to the output, progress to the error output. `snellen explain CODE` tells more of a check.

    Exit status: 0 nothing at the level of --fail-on, 7 something, 1 a check broke, 2 to 5 as for every command.

    [bold]Examples[/bold]

    snellen check photos/                                          the data

    snellen check photos/ --html check.html                        with pictures of the worst places

    snellen check coco/ --model retinanet_r18_fpn --epochs 12      the planned training too

    snellen check runs/coco-retinanet                              a run: its training, and what it predicts

    snellen check runs/second --against runs/first                 whether a difference is more than chance

    snellen check coco/ --select D11,D16 --fail-on warning         two checks, for a CI job

    snellen check coco/ --write-baseline accepted.json             accept what is known; then --baseline accepted.json
    """
    from rich.console import Console

    from snellen import recipes
    from snellen.cli.console import console
    from snellen.doctor import chosen_language

    language = chosen_language(lang)
    report = recipes.check(
        data,
        model,
        select=comma_list(select) or (),
        ignore=comma_list(ignore) or (),
        baseline=baseline,
        deep=deep,
        against=against,
        console=console(),
        weights=weights,
        mean=colour(mean, "--mean"),
        std=colour(std, "--std"),
        padding=None if padding is None else padding.value,
        epochs=epochs,
        image_size=image_size,
        batch_size=batch_size,
        lr=lr,
        optimizer=None if optimizer is None else optimizer.value,
        schedule=None if schedule is None else schedule.value,
        milestones=tuple(milestone or ()),
        weight_decay=weight_decay,
        warmup_steps=warmup_steps,
        accumulate=accumulate,
        precision=None if precision is None else precision.value,
        augment=augment,
        flip=flip,
        sampler=None if sampler is None else sampler.value,
        proposals=proposals,
        model_options=assignments(set_option),
        seed=seed,
        device=device,
        format=format_name,
        read=read_options(
            images=images,
            classes=classes,
            ignore_index=ignore_index,
            task=task,
            columns=columns,
            separator=separator,
        ),
    )
    is_piped = "-" in (json, sarif)
    screen = console() if is_piped else Console()
    screen.print(report.renderable(language, max_places=max_places))
    for place, text in ((json, report.json), (sarif, lambda: report.sarif(language))):
        if place == "-":
            typer.echo(text())
        elif place is not None:
            _say(recipes.write_text(place, text()))
    if html is not None:
        _say(report.write_html(html, language))
    if write_baseline is not None:
        report.write_baseline(write_baseline)
        _say(write_baseline)
    status = 0 if exit_zero else exit_status(report, fail_on)
    if status:
        raise typer.Exit(status)


def _say(path: Path) -> None:
    typer.echo(f"written: {path}", err=True)


def exit_status(diagnosis: "Diagnosis", fail_on: FailOn) -> int:
    """Return what a CI job is told: whether there is something at a level, or a check broke."""
    from snellen.doctor import Level, Status

    least = {FailOn.error: Level.ERROR, FailOn.warning: Level.WARNING}[fail_on]
    if diagnosis.worst is not None and diagnosis.worst >= least:
        return FOUND
    return _BROKEN if diagnosis.with_status(Status.CRASHED) else 0
