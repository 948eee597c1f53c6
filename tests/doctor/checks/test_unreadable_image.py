"""D1 (DX-011)."""

from dataclasses import replace
from io import BytesIO

from snellen.data import Problem
from snellen.doctor import Level


def encoded(image):
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_healthy_files_pass(gallery):
    gallery.add_all(gallery.photos(3))
    gallery.add(gallery.photo(4), "four.png")
    assert gallery.said("D1") == []


def test_what_cannot_be_read_is_an_error_and_can_be_dropped(gallery):
    gallery.add(gallery.photo(1))
    gallery.add(b"<html>404</html>")
    gallery.add(encoded(gallery.photo(2))[:4000])
    (finding,) = gallery.result("D1").findings
    assert finding.level == Level.ERROR
    assert gallery.said("D1") == ["2 of 3 images cannot be read; the first: no image: the file begins with b'<html>40'"]
    assert finding.treatment.drop_images == ("train/0001.jpg", "train/0002.jpg")
    assert "truncated" in finding.places[1].note


def test_what_the_reader_of_a_format_left_out_is_told_too(gallery):
    gallery.add(gallery.photo(1))
    problem = Problem(
        code="image-unreadable", message="left out: broken", file=f"{gallery.root}/train/a.jpg", severity="error"
    )
    index = replace(gallery.index(), problems=(problem,))
    (finding,) = gallery.result("D1", index).findings
    assert gallery.said("D1", index) == ["1 of 2 images cannot be read; the first: left out: broken"]
    assert [place.name for place in finding.places] == ["train/a.jpg"]


def test_a_file_that_is_not_there_is_an_error(gallery):
    gallery.add(gallery.photo(1)).unlink()
    (finding,) = gallery.result("D1").findings
    assert finding.level == Level.ERROR
    assert "No such file" in finding.places[0].note


def test_lower_part_in_the_grey_of_missing_data(gallery):
    gallery.add(gallery.photo(1))
    whole = encoded(gallery.photo(2, (320, 240)))
    gallery.add(whole[: len(whole) // 2] + b"\xff\xd9")
    (finding,) = gallery.result("D1").findings
    assert (finding.level, finding.message) == (Level.WARNING, "cut_off")
    assert [place.name for place in finding.places] == ["train/0001.jpg"]


def test_a_missing_end_marker(gallery):
    whole = encoded(gallery.photo(2, (640, 480)))
    gallery.add(whole[:-2] + bytes(1000))
    assert gallery.said("D1") == ["1 of 1 images are JPEG files without an end marker: something was lost."]


def test_a_tiny_image_among_others(gallery):
    gallery.add_all(gallery.photos(2))
    gallery.add(gallery.photo(3, (40, 6)))
    (finding,) = gallery.result("D1").findings
    assert (finding.level, finding.message, finding.measured) == (Level.WARNING, "small", 6.0)
    assert finding.places[0].note == "40 x 6"


def test_data_of_tiny_images_are_fine(gallery):
    """Digits of 8 x 8 pixels are a data set."""
    for number in range(4):
        gallery.add(gallery.photo(number, (8, 8)), f"{number}.png")
    assert gallery.said("D1") == []


def test_a_name_that_promises_another_format(gallery):
    gallery.add(gallery.photo(1), "a.png", format="JPEG")
    (finding,) = gallery.result("D1").findings
    assert (finding.level, finding.message) == (Level.INFO, "suffix")
    assert finding.places[0].note == "JPEG"
