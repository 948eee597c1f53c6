"""The doctor: evidence is measured once, judged by checks, and shown elsewhere."""

from snellen.doctor.catalog import CHECKS, find_check, selected
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.diagnosis import CheckResult, Diagnosis, Status, diagnose
from snellen.doctor.evidence import Evidence, SourceFailed
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.words import LANGUAGES, Language, Text, system_language

__all__ = [
    "CHECKS",
    "LANGUAGES",
    "Check",
    "CheckResult",
    "Diagnosis",
    "Evidence",
    "Finding",
    "Language",
    "Level",
    "Limit",
    "NotCheckable",
    "Page",
    "Place",
    "SourceFailed",
    "Stage",
    "Status",
    "Text",
    "Treatment",
    "diagnose",
    "find_check",
    "selected",
    "system_language",
]
