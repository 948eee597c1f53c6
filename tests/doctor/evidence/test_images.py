"""A data set is scanned once, in processes or not, and remembered."""

import os
import shutil

import numpy as np
import pytest

from snellen.doctor.evidence import picture, scanning
from snellen.doctor.evidence.image_store import FileStamp, ImageStore
from snellen.doctor.evidence.images import ScanSettings, facts_of_images
from snellen.doctor.evidence.picture import RECORD, measured
from snellen.doctor.evidence.scanning import CRASHED, scan_files


@pytest.fixture
def counted(monkeypatch):
    """How many files were decoded."""
    seen = []
    plain = picture._decoded
    monkeypatch.setattr(picture, "_decoded", lambda record, content: seen.append(1) or plain(record, content))
    return seen


def settings(tmp_path, workers=0, **options):
    return ScanSettings(workers=workers, cache=tmp_path / "cache", **options)


def test_rows_are_those_of_the_index(gallery, tmp_path):
    gallery.add(gallery.photo(1, (64, 48)))
    gallery.add(b"no image")
    gallery.add(gallery.photo(2, (30, 60)).convert("L"), "grey.png")
    gallery.add(gallery.photo(3), "odd.png", format="JPEG")
    facts = facts_of_images(gallery.index(), settings(tmp_path))
    assert len(facts) == 4
    assert facts.is_readable.tolist() == [True, False, True, True]
    assert list(facts.errors) == [1]
    assert facts.height.tolist() == [48, 0, 60, 150]
    assert facts.is_coloured.tolist() == [True, False, False, True]
    assert facts.suffix_fits.tolist() == [True, True, True, False]
    assert facts.percentile(50)[0] == facts.brightness[0, 3]


def test_unchanged_files_are_neither_read_nor_decoded(gallery, tmp_path, counted, monkeypatch):
    gallery.add_all(gallery.photos(4))
    gallery.add(b"no image")
    first = facts_of_images(gallery.index(), settings(tmp_path))
    assert len(counted) == 5
    monkeypatch.setattr(picture, "_content", lambda path: pytest.fail(f"{path} was read"))
    again = facts_of_images(gallery.index(), settings(tmp_path))
    assert len(counted) == 5
    assert again.errors == first.errors
    for name in RECORD.names:
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name), err_msg=name)


def test_content_decides_when_a_file_was_moved_or_touched(gallery, tmp_path, counted):
    path = gallery.add(gallery.photo(1))
    gallery.add(gallery.photo(2))
    first = facts_of_images(gallery.index(), settings(tmp_path))
    os.utime(path, (1, 1))
    shutil.move(gallery.root, tmp_path / "elsewhere")
    gallery.root = tmp_path / "elsewhere"
    again = facts_of_images(gallery.index(), settings(tmp_path))
    assert len(counted) == 2
    np.testing.assert_array_equal(again.thumbnail, first.thumbnail)


def test_changed_content_is_measured_again(gallery, tmp_path, counted):
    path = gallery.add(gallery.photo(1))
    first = facts_of_images(gallery.index(), settings(tmp_path))
    gallery.photo(2).save(path)
    again = facts_of_images(gallery.index(), settings(tmp_path))
    assert len(counted) == 2
    assert (again.thumbnail != first.thumbnail).any()


def test_a_damaged_store_is_begun_anew(gallery, tmp_path):
    gallery.add(gallery.photo(1))
    facts_of_images(gallery.index(), settings(tmp_path))
    (file,) = (tmp_path / "cache").glob("*.sqlite3")
    file.write_bytes(b"not a data base at all" * 100)
    assert facts_of_images(gallery.index(), settings(tmp_path)).is_readable.all()
    assert facts_of_images(gallery.index(), settings(tmp_path)).is_readable.all()


def test_a_store_that_cannot_be_written_does_without(gallery, tmp_path):
    gallery.add(gallery.photo(1))
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert facts_of_images(gallery.index(), settings(tmp_path)).is_readable.all()


def test_store_gives_back_what_it_was_given(tmp_path, gallery):
    path = gallery.add(gallery.photo(1))
    records, _ = measured([path.read_bytes()])
    stamp = FileStamp(f"{tmp_path}/\udcff.jpg", 5, 7)  # a name that is no valid UTF-8
    for _ in range(2):  # kept on disk, not in the object
        store = ImageStore(tmp_path / "store")
        store.keep([(stamp, records[0], "")])
        found, errors = np.zeros(2, RECORD), {}
        assert store.recall([stamp, stamp._replace(changed=8)], found, errors) == [1]
        assert found[0].tobytes() == records[0].tobytes()
        store.close()


def test_processes_measure_what_one_measures(gallery, tmp_path, monkeypatch):
    monkeypatch.setattr(scanning, "WORTH_PROCESSES", 4)
    monkeypatch.setattr(scanning, "CHUNK_FILES", 3)
    gallery.add_all(gallery.photos(10))
    gallery.add(b"no image")
    seen = []
    alone = facts_of_images(gallery.index(), ScanSettings(workers=0, cache=tmp_path / "one"))
    several = facts_of_images(
        gallery.index(), settings(tmp_path, 2, on_progress=lambda done, total: seen.append((done, total)))
    )
    assert several.errors == alone.errors
    for name in RECORD.names:
        if not name.endswith("_seconds"):
            np.testing.assert_array_equal(getattr(several, name), getattr(alone, name), err_msg=name)
    assert seen[0] == (0, 11)
    assert seen[-1] == (11, 11)


def test_a_decoder_that_takes_its_process_along_spoils_one_file(gallery, tmp_path, monkeypatch):
    """A decoder in C may end the whole process on a damaged file."""
    program = tmp_path / "deadly.py"
    program.write_text(
        "import os, runpy, pickle, sys\n"
        f"found = runpy.run_path({picture.__file__!r})\n"
        "plain = found['_decoded']\n"
        "deadly = lambda record, content: os._exit(9) if content == b'deadly' else plain(record, content)\n"
        "found['measured'].__globals__['_decoded'] = deadly\n"
        "found['_serve']()\n"
    )
    monkeypatch.setattr(scanning, "WORTH_PROCESSES", 2)
    monkeypatch.setattr(scanning, "CHUNK_FILES", 3)
    monkeypatch.setattr(scanning.picture, "__file__", str(program))
    gallery.add_all(gallery.photos(4))
    gallery.add(b"deadly")
    gallery.add_all(gallery.photos(3, first=10))
    names = [str(gallery.root / row[0]) for row in gallery.rows]
    records, errors = scan_files(names, store=ImageStore(tmp_path / "cache"), workers=2)
    assert errors == {4: CRASHED}
    assert records["is_readable"].tolist() == [True] * 4 + [False] + [True] * 3


def test_an_index_without_images_has_no_rows(gallery, tmp_path):
    index = gallery.index()
    assert len(facts_of_images(index, settings(tmp_path))) == 0
