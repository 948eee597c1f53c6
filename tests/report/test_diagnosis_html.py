"""A diagnosis as one page: well formed, small, safe, with pictures of what can be shown and words for what cannot."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from snellen.doctor import Diagnosis, Level, Place
from snellen.report import Report, diagnosis_html, report_html, write_page

EVIL = "<script>window.broken = 1</script>"
VOID = {"meta", "img", "input"}


class Outline(HTMLParser):
    """Elements and text of a page; whatever is not closed in order is an error."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.faults, self.text = [], [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"unexpected end of {tag} at {self.getpos()}")

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def index(diagnoses, tmp_path_factory):
    return diagnoses.photographs(tmp_path_factory.mktemp("photographs"), 14)


def page_of(diagnosis, index, **options):
    return diagnosis_html(diagnosis, index=index, name="photos", **options)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_everything_is_on_the_page(diagnoses, index, language):
    outline = Outline(page_of(diagnoses.whole(), index, language=language, subtitle="14 images"))
    assert (outline.faults, outline.open) == ([], [])
    ids = [attributes["id"] for tag, attributes in outline.elements if tag == "section"]
    assert ids == ["summary", "findings", "accepted", "checks"]
    words = {
        "en": ("Check of photos", "cat has 60 examples and dog 1", "and 17 more", "no model", "two pots", "Fix"),
        "zh": ("检查 photos", "个样本", "另有 17 处", "没有模型", "two pots", "解决办法", "全部检查", "检查出错"),
    }
    for word in (*words[language], "--sampler repeat_factor", "M6 no-gradient", "labels/猫.txt:7"):
        assert word in outline.text
    html = next(attributes for tag, attributes in outline.elements if tag == "html")
    assert html["lang"] == {"en": "en", "zh": "zh-CN"}[language]


def test_no_english_is_left_on_the_chinese_page(diagnoses, index):
    page = page_of(diagnoses.whole(), index, language="zh")
    text = Outline(re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.S)).text
    for word in ("Fix", "Where", "Copy", "All checks", "Findings", "Summary", "About", "found", "passed", "crashed"):
        assert not re.search(rf"\b{word}\b", text), word


def test_names_stay_text(diagnoses, index):
    found = diagnoses.only(
        diagnoses.made_finding(what=EVIL, places=[Place(kind="image", name=EVIL, note=EVIL)]), title=EVIL, fix=EVIL
    )
    outline = Outline(diagnosis_html(found, index=index, name=EVIL, subtitle=EVIL))
    assert outline.faults == []
    assert [tag for tag, _ in outline.elements].count("script") == 2
    assert all(not name.startswith("on") for _, attributes in outline.elements for name in attributes)
    assert outline.text.count(EVIL) >= 6


def test_needs_no_network(diagnoses, index):
    page = re.sub(r"base64,[\w+/=]+", "", page_of(diagnoses.whole(), index))
    assert re.findall(r"(?:https?:)?//[\w.]+\.\w+", page) == []
    assert "default-src 'none'" in page


def pictures(page):
    return re.findall(r'<img src="data:image/webp;base64,[^"]+" width="(\d+)" height="(\d+)"', page)


def test_worst_places_are_shown(diagnoses, index):
    """Whole images with what is annotated, boxes on the image, small boxes enlarged, two of a pair side by side."""
    places = [
        Place(kind="image", name="0.jpg"),
        Place(kind="image", name="1.jpg", boxes=((100.0, 100.0, 500.0, 400.0),)),
        Place(kind="image", name="2.jpg", boxes=((10.0, 10.0, 22.0, 22.0),)),
        Place(kind="image", name="3.jpg", twin="4.jpg"),
    ]
    sizes = pictures(page_of(diagnoses.only(diagnoses.made_finding(places=places)), index))
    assert len(sizes) == 5
    assert sizes[1] == ("360", "270")
    assert int(sizes[2][0]) / int(sizes[2][1]) < 1.2  # the surroundings of the box, not the image


@pytest.mark.parametrize(
    "place",
    [
        Place(kind="image", name="none.jpg"),
        Place(kind="class", name="0.jpg"),
        Place(kind="file", name="labels.txt"),
        Place(kind="layer", name="conv1"),
    ],
    ids=lambda place: place.kind,
)
def test_what_cannot_be_shown_is_named(diagnoses, index, place):
    page = page_of(diagnoses.only(diagnoses.made_finding(places=[place])), index)
    assert pictures(page) == []
    assert place.name in Outline(page).text


@pytest.mark.parametrize(
    "boxes",
    [
        ((-50.0, -50.0, 9999.0, 9999.0),),
        ((30.0, 30.0, 10.0, 10.0),),
        ((5.0, 5.0, 5.0, 5.0),),
        ((700.0, 500.0, 800.0, 600.0),),
        ((float("nan"), 0.0, 10.0, float("inf")),),
    ],
    ids=["beyond", "corners swapped", "empty", "outside", "not finite"],
)
def test_broken_boxes_are_drawn(diagnoses, index, boxes):
    places = [Place(kind="image", name="0.jpg", boxes=boxes)]
    assert len(pictures(page_of(diagnoses.only(diagnoses.made_finding(places=places)), index))) == 1


def test_two_hundred_findings_stay_small(diagnoses, index):
    """The gravest get the pictures; what is left out is said."""
    places = [Place(kind="image", name=f"{number}.jpg") for number in range(14)]
    levels = [Level.INFO, Level.WARNING, Level.ERROR]
    found = diagnoses.only(
        *(diagnoses.made_finding(f"X{number}", levels[number % 3], places=places) for number in range(200))
    )
    page = page_of(found, index)
    assert len(page) < 5_500_000
    assert "Further pictures are left out to keep the file small." in page
    shown = re.findall(r'class="finding callout (\w+)"(.*?)</article>', page, flags=re.S)
    assert [level for level, _ in shown] == sorted(
        (level for level, _ in shown), key=["error", "warning", "note"].index
    )
    with_pictures = ["<img" in body for _, body in shown]
    assert with_pictures == sorted(with_pictures, reverse=True)
    assert max(body.count("<img") for _, body in shown) == 12


def test_nothing_found(index):
    page = page_of(Diagnosis(results=()), index)
    assert "Nothing was found." in Outline(page).text
    assert 'id="viewer"' not in page


def test_in_the_report_of_a_run(diagnoses):
    """The same findings, without pictures, and how the checks ended."""
    page = report_html(Report(title="t", diagnosis=diagnoses.whole()))
    outline = Outline(page)
    assert outline.faults == []
    assert "cat has 60 examples and dog 1" in outline.text
    assert "5 checks: 2 found (findings: 1 warning)" in outline.text
    clean = Diagnosis(results=diagnoses.whole().results[1:2])
    assert "1 check: 0 found, 1 passed" in report_html(Report(title="t", diagnosis=clean))


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_in_a_browser(diagnoses, index, browser, tmp_path, language, scheme):
    places = [Place(kind="image", name=f"{number}.jpg", twin=f"{number + 1}.jpg") for number in range(3)]
    whole = diagnoses.whole()
    first = whole.results[0]
    shown = replace(first, findings=(replace(first.findings[0], places=(*places, *first.findings[0].places)),))
    page = page_of(replace(whole, results=(shown, *whole.results[1:])), index, language=language)
    file = write_page(tmp_path / "check.html", page)
    browser.open(file, scheme=scheme)
    assert browser.said() == []
    assert browser.requested() == [file.as_uri()]
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
    browser.value("document.querySelector('.shot').click()")
    assert browser.value("document.getElementById('viewer').open")
    said = browser.value("document.querySelector('#viewer .place').textContent")
    assert said == {"en": "1 of 3", "zh": "第 1 张，共 3 张"}[language]
    colour = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", colour))) > 380) == (scheme == "light")
