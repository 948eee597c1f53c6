"""snellen explain."""

from typing import Annotated

import typer

__all__ = ["explain"]


def explain(
    check: Annotated[str | None, typer.Argument(help="Code or name of a check; all checks if left out.")] = None,
    lang: Annotated[str | None, typer.Option(help="en or zh; SNELLEN_LANG or the locale if left out.")] = None,
) -> None:
    """Say what a check finds, why it matters, how it is measured, when it is wrong, and how to mend the fault.

    [bold]Examples[/bold]

    snellen explain

    snellen explain D13

    snellen explain class-imbalance --lang zh
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from snellen.doctor import CHECKS, chosen_language, find_check
    from snellen.report import check_page, check_table, table_text

    language = chosen_language(lang)
    if check is None:
        Console().print(table_text(check_table(CHECKS, language), max_rows=len(CHECKS)))
    else:
        Console().print(Markdown(check_page(find_check(check), language)))
