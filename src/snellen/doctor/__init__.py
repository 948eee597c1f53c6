"""The doctor: evidence is measured once, judged by checks, and shown elsewhere."""

from snellen.doctor.baseline import AcceptedFinding, fingerprint, read_baseline, without_accepted, write_baseline
from snellen.doctor.catalog import CHECKS, find_check, selected
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.diagnosis import CheckResult, Diagnosis, Status, diagnose
from snellen.doctor.evidence import Evidence, SourceFailed
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.examining.examination import examine
from snellen.doctor.examining.forms import check_parity
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.watching import Trace, read_trace
from snellen.doctor.watching.telling import judged
from snellen.doctor.watching.watch import Watch, watch
from snellen.doctor.words import LANGUAGES, Language, Text, chosen_language, system_language
from snellen.doctor.wrong_labels import Suspect, SuspectKind, suspects, suspects_of_predictions

__all__ = [
    "CHECKS",
    "LANGUAGES",
    "AcceptedFinding",
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
    "Setup",
    "SourceFailed",
    "Stage",
    "Status",
    "Suspect",
    "SuspectKind",
    "Text",
    "Trace",
    "Treatment",
    "Watch",
    "check_parity",
    "chosen_language",
    "diagnose",
    "examine",
    "find_check",
    "fingerprint",
    "judged",
    "read_baseline",
    "read_trace",
    "selected",
    "suspects",
    "suspects_of_predictions",
    "system_language",
    "watch",
    "without_accepted",
    "write_baseline",
]
