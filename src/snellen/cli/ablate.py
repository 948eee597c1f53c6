"""snellen ablate."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from snellen.cli.choices import comma_list
from snellen.cli.training_options import parsed_keywords

__all__ = ["ablate"]

_INTERRUPTED = 130


def ablate(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="DATA [OPTIONS OF TRAIN]", help="The data set, and options that all share."),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(help="NAME=A,B,…: an option of `train`, of the model, or a path inside it; may be repeated."),
    ] = None,
    vary_use: Annotated[
        list[str] | None,
        typer.Option(help="PATH=A,B,…: a setting that matters only in use; trained models are measured with each."),
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(help="NAME:OPTION=VALUE;OPTION=VALUE: a configuration as a whole; may be repeated."),
    ] = None,
    one_at_a_time: Annotated[
        bool, typer.Option("--one-at-a-time", help="Each value alone beside the base, not every combination.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Trainings of each configuration, from --seed on.", min=1)] = 3,
    split: Annotated[str, typer.Option(help="That is measured; what is chosen by `test` has no test left.")] = "val",
    figures: Annotated[
        str | None, typer.Option(help="Further figures, with commas between, such as AP50,AP75.")
    ] = None,
    processes: Annotated[int, typer.Option(help="Trainings at once; they share the cores.", min=1)] = 1,
    format_of_output: Annotated[
        str | None, typer.Option("--print", help="markdown, latex or csv to the output, beside the files.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the study; the same command goes on there.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the study in this folder.")] = None,
) -> None:
    """Say what each choice of a training is worth: configurations × seeds, with intervals of paired differences.

    Takes every option of `snellen train` besides. Each training is a run of its own in the folder of the study; what is
    done is kept, what was broken off goes on. Written: ablation.html with a plot, .md, .tex, .csv and .json.

    [bold]Examples[/bold]

    snellen ablate photos/ --model resnet18 --epochs 10 --vary optimizer=sgd,adamw --vary label_smoothing=0,0.1

    snellen ablate coco/ --model retinanet_r18_fpn --vary gamma=0,1,2 --vary mosaic=0,0.5 --one-at-a-time --seeds 5

    snellen ablate coco/ --model faster_rcnn_r18_fpn --vary-use settings.selection.nms_iou=0.3,0.5,0.7

    snellen ablate photos/ --arm "base:" --arm "slow:lr=0.0001;epochs=40" --processes 4

    snellen ablate --resume runs/ablation
    """
    from snellen import recipes
    from snellen.cli.console import console
    from snellen.errors import ConfigError
    from snellen.recipes.experiments.running import Interrupted

    forms = {"markdown": "markdown", "latex": "latex", "csv": "csv"}
    if format_of_output is not None and format_of_output not in forms:
        raise ConfigError(f"--print must be markdown, latex or csv; got {format_of_output!r}.")
    try:
        if resume is not None:
            if words or vary or vary_use or arm or out:
                raise ConfigError("--resume goes on with the study as it was; leave the other options out.")
            report = recipes.resume_ablation(resume, processes=processes, console=console())
        else:
            data, keywords, flags = parsed_keywords(words or [], "ablate")
            keywords.pop("folder")
            report = recipes.ablate(
                data,
                vary=_varied(vary, "--vary"),
                vary_use=_varied(vary_use, "--vary-use"),
                arms=dict(_arm(text) for text in arm or ()),
                one_at_a_time=one_at_a_time,
                seeds=seeds,
                split=split,
                figures=comma_list(figures) or (),
                processes=processes,
                folder=out,
                console=console(),
                **flags,
                **keywords,
            )
    except Interrupted:
        typer.echo(f"broken off; go on with the same command{'' if resume or out else ' and --out FOLDER'}", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    console().print(report.renderable())
    if format_of_output is not None:
        typer.echo(getattr(report, forms[format_of_output])(), nl=False)


def _varied(texts: Sequence[str] | None, option: str) -> dict[str, list[Any]]:
    from snellen.errors import ConfigError

    found: dict[str, list[Any]] = {}
    for text in texts or ():
        name, sign, values = text.partition("=")
        if not sign or not name.strip() or not values.strip():
            raise ConfigError(f"{option} must be NAME=A,B, such as lr=0.001,0.01; got {text!r}.")
        found.setdefault(name.strip(), []).extend(_values(values))
    return found


def _values(text: str) -> list[Any]:
    """Return what stands between commas: JSON where it is, else words; commas within brackets are no ends."""
    parts, depth, word = [], 0, ""
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            parts.append(word)
            word = ""
        else:
            word += letter
    return [_value(part) for part in (*parts, word)]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        word = text.strip()
        return None if word in ("none", "None") else word


def _arm(text: str) -> tuple[str, dict[str, Any]]:
    from snellen.errors import ConfigError

    name, sign, changes = text.partition(":")
    pairs = [change.partition("=") for change in changes.split(";") if change.strip()]
    if not sign or not name.strip() or not all(equals for _, equals, _ in pairs):
        raise ConfigError(f"--arm must be NAME:OPTION=VALUE;OPTION=VALUE, such as 'slow:lr=0.0001'; got {text!r}.")
    return name.strip(), {option.strip(): _value(value) for option, _, value in pairs}
