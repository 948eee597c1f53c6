"""The application: commands, errors, exit codes.

Exit codes: 0 done · 1 a fault of Snellen · 2 a wrong argument or setting · 3 a data set that cannot be read ·
4 weights or a run that cannot be loaded · 5 a missing optional package · 6 training that failed · 7 faults were found ·
130 interrupted.
"""

import os
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from snellen.cli import (
    ablate,
    baseline,
    check,
    data,
    demo,
    enhance,
    evaluate,
    explain,
    lr,
    models,
    predict,
    train,
    treat,
)
from snellen.cli import ensemble as ensembles
from snellen.cli.panels import GroupedCommand
from snellen.errors import (
    CheckpointError,
    DatasetError,
    FaultsFoundError,
    MissingExtraError,
    SnellenError,
    TrainingError,
    did_you_mean,
)

__all__ = ["app", "main"]

_EXIT_CODES: tuple[tuple[type[SnellenError], int], ...] = (
    (DatasetError, 3),
    (CheckpointError, 4),
    (MissingExtraError, 5),
    (TrainingError, 6),
    (FaultsFoundError, check.FOUND),
    (SnellenError, 2),
)
_INTERRUPTED = 130


class _Commands(TyperGroup):
    """Commands that know each other's names when one is mistyped."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, Any]:
        """Return the command named first, or fail with a hint."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}.{did_you_mean(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


_WITH_TRAIN = ("ablate",)  # commands that take every option of `train` besides their own
_TAKES_OTHERS = {"ignore_unknown_options": True}
_GROUPED = ("train", "check", "lr")  # commands with so many options that their help needs headings

app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _command in (
    ("train", train.train),
    ("baseline", baseline.baseline),
    ("check", check.check),
    ("explain", explain.explain),
    ("eval", evaluate.evaluate),
    ("ensemble", ensembles.ensemble),
    ("treat", treat.treat),
    ("ablate", ablate.ablate),
    ("predict", predict.predict),
    ("enhance", enhance.enhance),
    ("models", models.models),
    ("lr", lr.lr),
    ("demo", demo.demo),
):
    app.command(
        _name,
        cls=GroupedCommand if _name in _GROUPED else None,
        context_settings=_TAKES_OTHERS if _name in _WITH_TRAIN else None,
    )(_command)
app.add_typer(data.app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        from snellen import __version__

        typer.echo(f"snellen {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train vision models on your own images, and be told the truth about the result.

    [bold]Start here:[/bold]

    snellen demo                      everything once, on built-in eye charts

    snellen data describe PATH        what is in a data set

    snellen check PATH                what is wrong with it

    snellen baseline PATH             what a deep net has to beat

    snellen lr PATH --model NAME      a learning rate for the training

    snellen train PATH                a model and a report

    snellen treat RUN                 try what mends the findings

    snellen predict RUN IMAGES        drawn images and results as JSON

    snellen enhance IMAGES --auto     images with their light mended
    """


def main() -> None:
    """Run the command line and exit."""
    debug = bool(os.environ.get("SNELLEN_DEBUG"))
    # Pillow warns of images from half of the size on above which they are refused, and told.
    warnings.filterwarnings("ignore", message=".*could be decompression bomb")
    try:
        app()
    except SnellenError as error:
        if debug:
            raise
        _fail(str(error), next(code for kind, code in _EXIT_CODES if isinstance(error, kind)))
    except KeyboardInterrupt:
        _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        # Whoever reads our output has seen enough, such as head.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:
        if debug or error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}. Check the path, its permissions and the space left.", 2)


def _fail(message: str, code: int) -> None:
    typer.secho("error: ", fg=typer.colors.RED, bold=True, err=True, nl=False)
    typer.echo(message, err=True)
    raise SystemExit(code)
