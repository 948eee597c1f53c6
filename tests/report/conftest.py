"""A headless Chromium that the tests of the report steer through DevTools, and example reports."""

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from snellen.data import Problem
from snellen.doctor import CHECKS, CheckResult, Diagnosis, Finding, Level, Status
from snellen.report import (
    Bars,
    Figure,
    ImageCard,
    Report,
    Setting,
    SkippedImage,
    draw,
)
from snellen.structures import ClassScores, ClassTarget, Curve, Matrix, Results, Series, Table

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 60.0  # a machine under load starts Chromium in tens of seconds


class Browser:
    """One page in Chromium, spoken to through the DevTools pipe (JSON and NUL on descriptors 3 and 4)."""

    def __init__(self, program: str, profile: Path) -> None:
        to_child, self._out = os.pipe()
        self._in, from_child = os.pipe()

        def connect() -> None:
            spare = os.dup(from_child)  # so that moving the first cannot overwrite the second
            os.dup2(to_child, 3)
            os.dup2(spare, 4)

        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=connect,  # noqa: PLW1509 the tests have no threads, and DevTools asks for descriptors 3 and 4
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        os.set_blocking(self._in, False)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self) -> dict:
        end = time.monotonic() + PATIENCE_S
        while b"\0" not in self._buffer:
            assert time.monotonic() < end, "Chromium does not answer"
            try:
                self._buffer += os.read(self._in, 1 << 16)
            except BlockingIOError:
                time.sleep(0.005)
        message, self._buffer = self._buffer.split(b"\0", 1)
        event = json.loads(message)
        self.events.append(event)
        return event

    def open(self, path: Path, *, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self._read()

    def value(self, expression: str) -> object:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def said(self) -> list[dict]:
        """Return what went wrong on the page: exceptions, console output, violations of its policy."""
        wanted = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
        return [event for event in self.events if event.get("method") in wanted]

    def requested(self) -> list[str]:
        """Return the addresses that the page asked for, data inside the page aside."""
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        urls = [event["params"]["request"]["url"] for event in sent]
        return [url for url in urls if not url.startswith("data:")]

    def screenshot(self, path: Path) -> Image.Image:
        answer = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))
        return Image.open(path).convert("RGB")

    def close(self) -> None:
        os.close(self._out)
        self._process.terminate()
        self._process.wait(timeout=PATIENCE_S)
        os.close(self._in)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory):
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("Chromium is not installed")
    page = Browser(program, tmp_path_factory.mktemp("profile"))
    yield page
    page.close()


def _card(caption: str) -> ImageCard:
    image = torch.arange(3 * 24 * 32, dtype=torch.int64).remainder(255).to(torch.uint8).reshape(3, 24, 32)
    classes = ("ant", "bee")
    return ImageCard(
        caption=caption,
        truth=draw(image, ClassTarget(probs=torch.tensor([1.0, 0.0])), classes),
        prediction=draw(image, ClassScores(probs=torch.tensor([0.3, 0.7])), classes),
    )


def diagnosis_of(text: str) -> Diagnosis:
    """Return a diagnosis with one finding, whose numbers hold a text."""
    check = next(check for check in CHECKS if check.code == "D13")
    numbers = {"ratio": 60.0, "largest": text, "most": 60, "smallest": text, "least": 1}
    finding = Finding(code="D13", level=Level.WARNING, numbers=numbers)
    return Diagnosis(results=(CheckResult(check=check, status=Status.FOUND, findings=(finding,)),))


@pytest.fixture
def make_report():
    """Return a function that builds a report with everything in it, its classes and texts named as asked."""

    def make(names: tuple[str, ...] = ("ant", "bee", "wasp"), text: str = "plain") -> Report:
        count = len(names)
        table = Table(
            title=f"Per class {text}",
            columns=("class", "images", "precision"),
            rows=tuple((name, 10 * place, None if place == 1 else place / count) for place, name in enumerate(names)),
            note=text,
        )
        line = Series(name=text, x=(0.0, 0.5, 1.0), y=(1.0, float("nan"), 0.2))
        values = tuple(tuple(float(row + column) for column in range(count)) for row in range(count))
        results = Results(
            headline="accuracy",
            scalars={"accuracy": 0.875, "broken": float("nan"), f"acuity {text}": 14.0},
            tables=(table,),
            curves=(Curve(title=f"Curve {text}", x_label=text, y_label=text, series=(line,)),),
            matrices=(Matrix(title=f"Confusion {text}", row_names=names, column_names=names, values=values),),
        )
        return Report(
            title=f"Title {text}",
            subtitle=text,
            summary=(Figure(name=text, value=0.875, explanation=text),),
            results={f"test {text}": results},
            history=tuple(
                {
                    "step": step,
                    "loss": 2.0 / step,
                    "lr": 0.1,
                    "val": {"accuracy": step / 10},
                    text: float(step),
                }
                for step in range(1, 9)
            ),
            settings=(Setting(name=text, value=text, reason=text), Setting(name="lr", value=0.00123)),
            environment=((text, text),),
            problems=(Problem(code=text, message=text, file=text, line=3, fix=text, count=2),),
            skipped=(SkippedImage(file=text, reason=text),),
            description=(table,),
            distributions=(Bars(title=text, names=names, values=tuple(float(n) for n in range(count))),),
            cards={f"Worst {text}": (_card(text), _card("second")), "Best": (ImageCard(caption="none"),)},
            commands=(f"snellen train '{text}'",),
            diagnosis=diagnosis_of(text),
            notes=(text,),
        )

    return make


@pytest.fixture(scope="session")
def diagnoses():
    """Return the module that makes diagnoses to show."""
    spec = importlib.util.spec_from_file_location("diagnoses", Path(__file__).with_name("diagnoses.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
