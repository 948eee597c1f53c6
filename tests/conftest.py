"""Fixtures that every package's tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, or a skip where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SNELLEN_DATA", default))
    if not folder.is_dir():
        pytest.skip("no real data sets here; set SNELLEN_DATA to their folder")
    return folder
