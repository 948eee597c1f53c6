"""The verbs: functions that build whole runs out of the packages below."""

from snellen.recipes.baseline_report import BaselineReport, BaselineRow
from snellen.recipes.baselining import baseline
from snellen.recipes.checking import CheckReport, check, write_text
from snellen.recipes.datasets import CHARTS, chart_folder, convert, load, prepared, sample_sheet
from snellen.recipes.demo import demo
from snellen.recipes.describing import description_text
from snellen.recipes.evaluating import evaluate, evaluate_run
from snellen.recipes.options import TrainOptions
from snellen.recipes.planning import Plan, make_plan
from snellen.recipes.predicting import PredictSummary, image_files, predict
from snellen.recipes.progress import say
from snellen.recipes.range_testing import RateAdvice, find_rate, write_rate_chart
from snellen.recipes.reporting import write_run_report
from snellen.recipes.runs import Run
from snellen.recipes.training import resume, train
from snellen.recipes.zoo import describe, description_lines, models, option_lines, system_page

__all__ = [
    "CHARTS",
    "BaselineReport",
    "BaselineRow",
    "CheckReport",
    "Plan",
    "PredictSummary",
    "RateAdvice",
    "Run",
    "TrainOptions",
    "baseline",
    "chart_folder",
    "check",
    "convert",
    "demo",
    "describe",
    "description_lines",
    "description_text",
    "evaluate",
    "evaluate_run",
    "find_rate",
    "image_files",
    "load",
    "make_plan",
    "models",
    "option_lines",
    "predict",
    "prepared",
    "resume",
    "sample_sheet",
    "say",
    "system_page",
    "train",
    "write_rate_chart",
    "write_run_report",
    "write_text",
]
