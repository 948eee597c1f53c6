import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from snellen.report import Figure, ImageCard, Report, report_html, write_report
from snellen.report.palette import DARK_THEME, LIGHT_THEME
from snellen.structures import Curve, Matrix, Results, Series, Table

EVIL = "<script>window.broken = 1</script>"
BREAKOUT = '"\'><img src=x onerror="window.broken=1">'
VOID = {"meta", "img", "br", "input", "link", "hr"}


class Outline(HTMLParser):
    """Elements of a page; whatever is not closed in order is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.faults: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if len(dict(attrs)) != len(attrs):
            self.faults.append(f"attribute twice in {tag}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"unexpected end of {tag} at {self.getpos()}")

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("text", ["plain", EVIL, BREAKOUT, "中文 🐶", "كلب صغير", "N" * 400, "a\x1b[31mb\0c"])
def test_page_is_well_formed_and_names_stay_text(make_report, text):
    outline = Outline(report_html(make_report((text, f"{text} 2", "wasp"), text)))

    assert outline.faults == []
    assert outline.open == []
    tags = [tag for tag, _ in outline.elements]
    assert tags.count("script") == 2
    assert all(not name.startswith("on") for _, attributes in outline.elements for name in attributes)
    assert all(attributes["src"].startswith("data:") for tag, attributes in outline.elements if tag == "img")
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"][1:] for tag, attributes in outline.elements if tag == "a"}
    assert links <= set(ids)
    if "\0" not in text:
        assert text in outline.text


def test_page_names_no_address_outside(make_report):
    page = report_html(make_report())
    assert re.findall(r"(?:https?:)?//[\w.]+\.\w+", re.sub(r"base64,[\w+/=]+", "", page)) == []
    assert "@import" not in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    "report",
    [
        Report(title="nothing"),
        Report(title="no scalars", results={"test": Results(headline="AP", scalars={})}),
        Report(title="not measured", results={"t": Results(headline="AP", scalars={"AP": float("nan")})}),
        Report(title="odd rows", history=({"step": 1}, {}, {"loss": float("nan")}, {"loss": "text"})),
        Report(title="no rows", description=(Table(title="t", columns=("a",), rows=()),)),
        Report(title="no lines", results={"t": Results(headline="x", scalars={"x": float("inf")}, curves=(
            Curve(title="c", x_label="x", y_label="y", series=()),), matrices=(
            Matrix(title="m", row_names=(), column_names=(), values=()),
            Matrix(title="one", row_names=("a",), column_names=("a",), values=((3.0,),)),
            Matrix(title="hole", row_names=("a", "b"), column_names=("a", "b"), values=(
                (float("nan"), 1.0), (0.0, 0.0))),
        ))}),
        Report(title="text only", summary=(Figure(name="n", value=None),), cards={"Empty": ()}),
        Report(title="\udcff is a byte of a file name"),
    ],
    ids=lambda report: report.title.split()[0],
)  # fmt: skip
def test_whatever_is_missing_the_page_stands(report, tmp_path):
    path = write_report(tmp_path / "deep" / "report.html", report)
    outline = Outline(path.read_text(encoding="utf-8"))
    assert outline.faults == []
    assert outline.open == []


def test_missing_parts_leave_no_section(make_report):
    full = [attributes["id"] for tag, attributes in Outline(report_html(make_report())).elements if tag == "section"]
    assert full == ["summary", "findings", "problems", "training", "results-0", "images", "data", "settings",
                    "environment", "repeat"]  # fmt: skip
    bare = [
        attributes["id"] for tag, attributes in Outline(report_html(Report(title="t"))).elements if tag == "section"
    ]
    assert bare == ["summary"]


def test_summary_falls_back_to_headline_and_acuity():
    scalars = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5, "f": 0.6, "acuity_px": 14.0, "AP": 0.61}
    page = report_html(Report(title="t", results={"test": Results(headline="AP", scalars=scalars)}))
    names = re.findall(r'<dt dir="auto">(.*?)</dt>', page)
    assert names[:2] == ["AP", "acuity_px"]
    assert len(names) == 6


def test_thousand_classes_stay_readable_and_small(make_report):
    names = tuple(f"class {number}" for number in range(1000))
    lines = tuple(Series(name=name, x=(0.0, 1.0), y=(1.0, 0.5)) for name in names)
    report = make_report(names)
    name, results = next(iter(report.results.items()))
    curve = Curve(title="PR", x_label="recall", y_label="precision", series=lines)
    page = report_html(replace(report, results={name: replace(results, curves=(curve,))}))

    assert "The 30 most confused of 1,000 classes are shown." in page
    assert "The first 8 of 1,000 lines have a colour; 940 are not drawn." in page
    assert "The 40 largest of 1,000 are shown." in page
    assert page.count('class="cell"') == 30 * 30
    assert len(page) < 1_500_000


def test_settings_keep_every_digit(make_report):
    assert ">0.00123<" in report_html(make_report())


def test_large_images_are_reduced(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (3000, 4000, 3), dtype=np.uint8)
    cards = {"Worst": tuple(ImageCard(caption=str(n), truth=Image.fromarray(noise)) for n in range(2))}
    page = report_html(Report(title="t", cards=cards))
    assert set(re.findall(r'width="(\d+)" height="(\d+)" alt', page)) == {("800", "600")}
    assert len(page) < 2 * 600_000


def test_templates_are_package_data_and_import_is_silent():
    names = "sorted(p.name for p in r.files('snellen.report').joinpath('templates').iterdir())"
    code = f"import snellen.report, importlib.resources as r; print({names})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        done.stdout.strip() == "['diagnosis.html', 'parts.html', 'report.css', 'report.html', 'report.js', 'theme.js']"
    )


@pytest.mark.browser
class TestInBrowser:
    """What a reader sees."""

    def test_opens_without_a_word_and_without_network(self, browser, make_report, tmp_path):
        path = write_report(tmp_path / "report.html", make_report(("a", "b", "c"), BREAKOUT + EVIL))
        browser.open(path)
        assert browser.value("document.title") == f"Title {BREAKOUT}{EVIL}"
        assert browser.value("window.broken === undefined")
        assert browser.value("document.querySelectorAll('main img').length") == 4
        assert browser.value("[...document.images].every(i => (i.loading = 'eager', true))")
        browser.value("Promise.all([...document.images].map(i => i.decode()))")
        assert browser.said() == []
        assert browser.requested() == [path.as_uri()]

    def test_policy_stops_a_script_that_slipped_in(self, browser, make_report, tmp_path):
        page = report_html(make_report()).replace("</main>", f"{EVIL}<img src=x onerror='window.broken=1'></main>")
        path = tmp_path / "report.html"
        path.write_text(page, encoding="utf-8")
        browser.open(path)
        assert browser.value("window.broken === undefined")
        assert "Content Security Policy" in str(browser.said())

    @pytest.mark.parametrize(("scheme", "theme"), [("light", LIGHT_THEME), ("dark", DARK_THEME)])
    def test_follows_the_system_theme(self, browser, make_report, tmp_path, scheme, theme):
        browser.open(write_report(tmp_path / "report.html", make_report()), scheme=scheme)
        shot = browser.screenshot(tmp_path / "shot.png")
        page = theme["page"].lstrip("#")
        assert shot.getpixel((3, 3)) == tuple(bytes.fromhex(page))
        assert len(shot.convert("L").getcolors()) > 20

    def test_theme_button_is_remembered(self, browser, make_report, tmp_path):
        path = write_report(tmp_path / "report.html", make_report())
        browser.open(path, scheme="light")
        browser.value("document.getElementById('theme').click()")
        assert browser.value("getComputedStyle(document.documentElement).colorScheme") == "dark"
        browser.open(path, scheme="light")
        assert browser.value("getComputedStyle(document.documentElement).colorScheme") == "dark"
        browser.value("localStorage.clear()")

    @pytest.mark.parametrize("width", [360, 390, 768, 1280])
    def test_page_never_scrolls_sideways(self, browser, make_report, tmp_path, width):
        names = ("N" * 300, "中文类别" * 20, *(f"class {number}" for number in range(40)))
        browser.open(write_report(tmp_path / "report.html", make_report(names, "M" * 120)), width=width)
        assert browser.value("document.documentElement.scrollWidth") <= width

    def test_tables_sort_and_what_was_not_measured_stays_last(self, browser, make_report, tmp_path):
        browser.open(write_report(tmp_path / "report.html", make_report()))
        column = """(() => {
            const every = [...document.querySelectorAll('table')];
            const table = every.find(t => t.textContent.includes('precision'));
            const head = [...table.querySelectorAll('th')][2];
            head.firstElementChild.click();
            return [head.ariaSort, ...[...table.tBodies[0].rows].map(row => row.cells[2].textContent)];
        })()"""
        assert browser.value(column) == ["descending", "0.667", "0.000", "–"]
        assert browser.value(column) == ["ascending", "0.000", "0.667", "–"]

    def test_long_tables_fold_and_search(self, browser, make_report, tmp_path):
        names = tuple(f"class {number}" for number in range(100))
        browser.open(write_report(tmp_path / "report.html", make_report(names)))
        start = """const every = [...document.querySelectorAll('.table')];
            const holder = every.find(t => t.textContent.includes('precision'));
            const rows = () => [...holder.querySelectorAll('tbody tr')];
            const shown = () => rows().filter(r => r.offsetHeight).length;"""
        assert browser.value(f"(() => {{ {start} return shown(); }})()") == 15
        search = """const box = holder.querySelector('input');
            box.value = 'class 7'; box.dispatchEvent(new Event('input'));"""
        assert browser.value(f"(() => {{ {start} {search} return shown(); }})()") == 11
        full = "holder.querySelector('input').value = ''; holder.querySelector('.more').click();"
        assert browser.value(f"(() => {{ {start} {full} return shown(); }})()") == 100

    def test_images_enlarge_and_walk(self, browser, make_report, tmp_path):
        browser.open(write_report(tmp_path / "report.html", make_report(text="first")))
        said = "[viewer.open, viewer.querySelector('.said').textContent, viewer.querySelectorAll('img').length]"
        browser.value("document.querySelector('.shot').click()")
        assert browser.value(said) == [True, "first", 2]
        browser.value("viewer.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))")
        assert browser.value(said) == [True, "second", 2]
        browser.value("viewer.querySelector('.close').click()")
        assert browser.value("viewer.open") is False

    def test_pointer_reads_values_off_a_chart(self, browser, make_report, tmp_path):
        browser.open(write_report(tmp_path / "report.html", make_report()))
        frame = browser.value(
            "(() => { const c = document.querySelector('svg.lines'); c.scrollIntoView({behavior: 'instant'});"
            "const f = c.getBoundingClientRect(); return [f.x, f.y, f.width, f.height]; })()"
        )
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=frame[0] + frame[2] * 0.97, y=frame[1] + 60)
        # loss is 2 / step and the last of the eight steps lies at the right edge
        assert browser.value("[...tip.querySelectorAll('.at, b')].map(e => e.textContent)") == [
            "8.000",
            "0.250",
        ]

    def test_prints_in_light_colours(self, browser, make_report, tmp_path):
        browser.open(write_report(tmp_path / "report.html", make_report()), scheme="dark")
        browser.call("Emulation.setEmulatedMedia", media="print")
        ink = browser.value("getComputedStyle(document.body).color")
        browser.call("Emulation.setEmulatedMedia", media="")
        assert ink == "rgb(27, 31, 36)"

    def test_works_without_scripts(self, browser, make_report, tmp_path):
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        try:
            names = tuple(f"class {number}" for number in range(60))
            browser.open(write_report(tmp_path / "report.html", make_report(names)))
        finally:
            browser.call("Emulation.setScriptExecutionDisabled", value=False)
        assert browser.value("[...document.querySelectorAll('tbody tr')].every(row => row.offsetHeight > 0)")
