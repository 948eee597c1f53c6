"""Results, histories and settings as one HTML file or as text; truths and predictions drawn on images."""

from snellen.report.check_pages import check_page, check_table
from snellen.report.diagnosis_html import diagnosis_html
from snellen.report.diagnosis_json import diagnosis_from_json, diagnosis_json, json_schema
from snellen.report.diagnosis_text import LEVEL_STYLES, diagnosis_text, findings_text
from snellen.report.drawing import draw
from snellen.report.html import report_html, write_page, write_report
from snellen.report.legends import contact_sheet
from snellen.report.model import (
    Bars,
    Figure,
    ImageCard,
    IntervalRow,
    Intervals,
    Report,
    Setting,
    SkippedImage,
)
from snellen.report.phrases import LEVELS, labelled, phrase, summary_line
from snellen.report.prediction_words import prediction_words
from snellen.report.sarif import diagnosis_sarif
from snellen.report.table_files import table_csv, table_latex
from snellen.report.text import results_markdown, results_text, table_markdown, table_text

__all__ = [
    "LEVELS",
    "LEVEL_STYLES",
    "Bars",
    "Figure",
    "ImageCard",
    "IntervalRow",
    "Intervals",
    "Report",
    "Setting",
    "SkippedImage",
    "check_page",
    "check_table",
    "contact_sheet",
    "diagnosis_from_json",
    "diagnosis_html",
    "diagnosis_json",
    "diagnosis_sarif",
    "diagnosis_text",
    "draw",
    "findings_text",
    "json_schema",
    "labelled",
    "phrase",
    "prediction_words",
    "report_html",
    "results_markdown",
    "results_text",
    "summary_line",
    "table_csv",
    "table_latex",
    "table_markdown",
    "table_text",
    "write_page",
    "write_report",
]
