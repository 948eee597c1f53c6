"""A diagnosis as one HTML file that needs no network: findings with pictures, and how every check ended."""

from snellen.data import DatasetIndex
from snellen.doctor import Diagnosis, Language
from snellen.report.diagnosis_view import accepted_views, checks_view, figures, finding_views
from snellen.report.html import page_html
from snellen.report.phrases import phrase
from snellen.report.worst_places import Album

__all__ = ["diagnosis_html"]


def diagnosis_html(
    diagnosis: Diagnosis, *, index: DatasetIndex, name: str, subtitle: str = "", language: Language = "en"
) -> str:
    """Return a diagnosis as HTML.

    Args:
        diagnosis: What was found.
        index: The data set, whose images are shown at the places at fault.
        name: Of what was checked.
        subtitle: One line below it.
        language: Of all words.
    """
    album = Album(root=index.root, index=index)
    findings = finding_views(diagnosis, language, album)
    accepted = accepted_views(diagnosis, language)
    sections = [("summary", "summary"), ("findings", "findings"), ("checks", "all checks")]
    if accepted:
        sections.insert(2, ("accepted", "accepted before"))
    view = {
        "title": phrase("title", language, name=name),
        "subtitle": subtitle,
        "language": {"en": "en", "zh": "zh-CN"}[language],
        "sections": tuple((place, phrase(title, language)) for place, title in sections),
        "figures": figures(diagnosis, language),
        "findings": findings,
        "is_cut": album.room <= 0,
        "has_pictures": any(finding.shots for finding in findings),
        "accepted": accepted,
        "checks": checks_view(diagnosis, language),
    }
    return page_html("diagnosis.html", view, language)
