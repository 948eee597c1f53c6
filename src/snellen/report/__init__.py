"""Results, histories and settings as one HTML file or as text; truths and predictions drawn on images."""

from snellen.report.drawing import draw
from snellen.report.html import report_html, write_report
from snellen.report.legends import contact_sheet
from snellen.report.model import (
    Bars,
    DataProblem,
    Figure,
    Finding,
    ImageCard,
    Report,
    Setting,
    SkippedImage,
)
from snellen.report.text import results_markdown, results_text, table_markdown, table_text

__all__ = [
    "Bars",
    "DataProblem",
    "Figure",
    "Finding",
    "ImageCard",
    "Report",
    "Setting",
    "SkippedImage",
    "contact_sheet",
    "draw",
    "report_html",
    "results_markdown",
    "results_text",
    "table_markdown",
    "table_text",
    "write_report",
]
