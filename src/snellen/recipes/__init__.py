"""The verbs: functions that build whole runs out of the packages below."""

from snellen.recipes.baseline_report import BaselineReport, BaselineRow
from snellen.recipes.baselining import baseline
from snellen.recipes.check_report import CheckReport, write_text
from snellen.recipes.checking import check
from snellen.recipes.datasets import CHARTS, chart_folder, convert, load, prepared, sample_sheet
from snellen.recipes.demo import demo
from snellen.recipes.describing import description_text
from snellen.recipes.enhance_work import EnhancedImage
from snellen.recipes.enhancing import EnhanceSummary, enhance, operation_list
from snellen.recipes.ensembling import ensemble
from snellen.recipes.evaluating import evaluate, evaluate_run
from snellen.recipes.experiments.ablation import ablate, resume_ablation
from snellen.recipes.experiments.ablation_report import AblationReport
from snellen.recipes.listing import backbone_list, listing_json, model_list
from snellen.recipes.members import MemberPlan, resume_members, train_members
from snellen.recipes.options import TrainOptions
from snellen.recipes.options_file import read_config, write_config
from snellen.recipes.planning import Plan, make_plan
from snellen.recipes.predicting import PredictSummary, image_files, predict
from snellen.recipes.progress import say
from snellen.recipes.range_testing import RateAdvice, find_rate, write_rate_chart
from snellen.recipes.reporting import write_run_report
from snellen.recipes.runs import Run
from snellen.recipes.segmenting import Segmented, segment, segment_files
from snellen.recipes.shallow_listing import shallow_list, shallow_parts
from snellen.recipes.timing import ModelSpeed, speed_json, speed_lines, time_model
from snellen.recipes.training import resume, train
from snellen.recipes.treating.outlining import TreatmentOutline, outline
from snellen.recipes.treating.treating import treat
from snellen.recipes.treating.treatment_report import TreatmentReport
from snellen.recipes.zoo import (
    describe,
    description_lines,
    draw_fields,
    family_of,
    found_models,
    measured_fields,
    models,
    option_lines,
    system_names,
    system_page,
)
from snellen.report.field_picture import check_picture_kind
from snellen.report.network_tables import description_json, layers_text

__all__ = [
    "CHARTS",
    "AblationReport",
    "BaselineReport",
    "BaselineRow",
    "CheckReport",
    "EnhanceSummary",
    "EnhancedImage",
    "MemberPlan",
    "ModelSpeed",
    "Plan",
    "PredictSummary",
    "RateAdvice",
    "Run",
    "Segmented",
    "TrainOptions",
    "TreatmentOutline",
    "TreatmentReport",
    "ablate",
    "backbone_list",
    "baseline",
    "chart_folder",
    "check",
    "check_picture_kind",
    "convert",
    "demo",
    "describe",
    "description_json",
    "description_lines",
    "description_text",
    "draw_fields",
    "enhance",
    "ensemble",
    "evaluate",
    "evaluate_run",
    "family_of",
    "find_rate",
    "found_models",
    "image_files",
    "layers_text",
    "listing_json",
    "load",
    "make_plan",
    "measured_fields",
    "model_list",
    "models",
    "operation_list",
    "option_lines",
    "outline",
    "predict",
    "prepared",
    "read_config",
    "resume",
    "resume_ablation",
    "resume_members",
    "sample_sheet",
    "say",
    "segment",
    "segment_files",
    "shallow_list",
    "shallow_parts",
    "speed_json",
    "speed_lines",
    "system_names",
    "system_page",
    "time_model",
    "train",
    "train_members",
    "treat",
    "write_config",
    "write_rate_chart",
    "write_run_report",
    "write_text",
]
