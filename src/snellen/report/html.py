"""A report as one HTML file that needs no network, no folder beside it, and runs no script but its own."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup

from snellen.doctor import Language
from snellen.report.model import Report
from snellen.report.palette import DARK_THEME, LIGHT_THEME
from snellen.report.phrases import page_words
from snellen.report.view import report_view

__all__ = ["page_html", "report_html", "write_page", "write_report"]


def write_report(path: Path | str, report: Report) -> Path:
    """Write ``report`` as one self-contained HTML file and return its path; missing folders are made."""
    return write_page(path, report_html(report))


def write_page(path: Path | str, page: str) -> Path:
    """Write a page and return its path; missing folders are made."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Names of files may hold bytes that are no text; they must not keep a report from being written.
    target.write_bytes(page.encode("utf-8", errors="replace"))
    return target


def report_html(report: Report) -> str:
    """Return ``report`` as HTML."""
    return page_html("report.html", report_view(report))


def page_html(template: str, view: Mapping[str, object], language: Language = "en") -> str:
    """Return a page that is complete in itself.

    Names and messages are escaped by the template; besides, the page's content security policy names the
    hashes of its two scripts, so that a browser runs no other.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("snellen.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scripts = [_source(environment, name) for name in ("theme.js", "report.js")]
    style = environment.get_template("report.css").render(light=LIGHT_THEME, dark=DARK_THEME)
    words = page_words(language)
    return environment.get_template(template).render(
        **view,
        words=words,
        _=lambda text: words.get(text, text),
        style=Markup(style),
        theme_script=scripts[0],
        script=scripts[1],
        script_hashes=Markup(" ").join(Markup("'sha256-{}'").format(_digest(script)) for script in scripts),
    )


def _source(environment: jinja2.Environment, name: str) -> Markup:
    if environment.loader is None:
        raise TypeError("the environment of a report must have a loader; got none. Pass one to jinja2.Environment.")
    source, _, _ = environment.loader.get_source(environment, name)
    return Markup(source)


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
