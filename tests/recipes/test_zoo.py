"""Pages about systems, and what can be set in models."""

import pytest

from snellen.models import MODELS, measured, page, page_names
from snellen.recipes import option_lines, system_page
from snellen.structures import BoxTarget

DETECTORS = [entry for entry in MODELS if entry.target_type is BoxTarget]
SECTIONS = ("What it changed, and why", "Published", "Weaknesses, as its successors saw them", "Models")
COLUMNS = 76  # of a terminal with 80, less the frame


def test_every_page_is_about_models_and_every_detector_has_one():
    assert {entry.page for entry in MODELS} - {""} == set(page_names())
    assert all(entry.page for entry in DETECTORS)


@pytest.mark.parametrize("name", page_names())
def test_a_page_has_its_picture_and_its_sections(name):
    text = system_page(name)
    assert all(f"\n## {section}" in text for section in SECTIONS)
    picture = text.split("```")[1]
    assert "image" in picture
    told = {"detections" if entry.target_type is BoxTarget else "classes" for entry in MODELS if entry.page == name}
    assert all(word in picture for word in told)
    assert max(map(len, picture.splitlines())) <= COLUMNS


def test_a_page_is_found_by_a_model_of_the_system():
    assert system_page("rcnn_vgg16") == system_page("rcnn")
    assert "`rcnn_vgg16`" in system_page("rcnn")
    assert system_page("unet_resnet18") == system_page("unet")
    assert system_page("hog_kernel_svm") is None


def test_what_was_measured_stands_on_the_page(monkeypatch):
    figures = {"AP50": 0.5, "AP": 0.25, "untrained": 0.001, "total": 0.125}
    told = {"how": "For a test.", "sets": {"cells": {"rcnn_vgg16": figures}}}
    monkeypatch.setattr("snellen.recipes.zoo.measured", lambda: told)
    assert "| `rcnn_vgg16` | cells | 0.500 | 0.250 | 0.001 | 125 ms |" in system_page("rcnn")
    assert "Measured here" not in system_page("ssd")


def test_what_was_measured_is_of_models_that_exist():
    names = {entry.name for entry in MODELS}
    assert all(set(models) <= names for models in measured()["sets"].values())


def test_options_name_builder_and_settings():
    lines = option_lines("yolo_v2_mobilenet_v2").splitlines()
    assert "  passthrough=True" in lines
    assert any(line.startswith("  settings.nms_iou=") for line in lines)
    assert not any(line.startswith("  norm=") for line in lines)


def test_pages_are_markdown_files():
    assert page("ssd").startswith("# SSD")
