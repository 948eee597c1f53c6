"""One chart in memory: photograph, clutter, letters, blur and noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from snellen.data.charts.glyphs import letter_coverage
from snellen.data.charts.layout import Placement, placements
from snellen.data.charts.photographs import background
from snellen.data.charts.spec import ChartSpec, Split

__all__ = ["Chart", "ChartLetter", "draw_chart"]

SPLIT_CODES: dict[Split, int] = {"train": 0, "val": 1, "test": 2}  # part of the seed; never renumber

_COVERED = 0.5  # share of a pixel from which on it belongs to the letter
_CARD_SHARE = 0.5  # share of the charts in rows that stand on a pale card
_LEAST_ROOM = 100  # grey values; with less to black (white), letters are painted lighter (darker)
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # luma of ITU-R BT.601


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChartLetter:
    """One letter as it can be seen.

    Attributes:
        text: The letter.
        label: Its class.
        height: Of the upright letter in pixels, before anything hid part of it.
        box: xyxy, the tightest box around the visible pixels.
        mask: The visible pixels within ``box``.
    """

    text: str
    label: int
    height: float
    box: tuple[int, int, int, int]
    mask: Bool[np.ndarray, "box_height box_width"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chart:
    """One chart: RGB pixels, and its letters from the largest to the smallest."""

    image: UInt8[np.ndarray, "height width 3"]
    letters: tuple[ChartLetter, ...]


def draw_chart(spec: ChartSpec, index: int, *, split: Split = "train") -> Chart:
    """Return chart number ``index`` of a split; a pure function of ``(spec, split, index)``.

    Of ``spec.faults`` only those that change what is seen act here (tiny, empty, imbalance, light); faults of
    files and annotations are made by ``write_charts``.
    """
    rng = np.random.default_rng([spec.seed, SPLIT_CODES[split], index, 0])
    placed, in_rows = placements(spec, rng)
    picture = background(split, spec.size, rng)
    canvas = _with_clutter(picture, spec.difficulty, rng)
    if in_rows and rng.random() < _CARD_SHARE:
        canvas = _with_card(canvas, placed, rng)
    pixels = np.array(canvas, dtype=np.float32)
    contrast = 0.55 + 0.45 * spec.difficulty  # of the photograph; a flat background is easy
    pixels = (pixels - pixels.mean()) * contrast + pixels.mean()
    letters = [_draw_letter(pixels, placement, spec, rng) for placement in placed]
    shift = spec.faults.test_light_shift if split == "test" else 0.0
    return Chart(
        image=_as_photographed(pixels, spec.difficulty, shift, rng),
        letters=tuple(letters),
    )


def _with_clutter(picture: Image.Image, difficulty: float, rng: np.random.Generator) -> Image.Image:
    """Return the picture with thin strokes and rings that are not letters."""
    pen = ImageDraw.Draw(picture)
    width, height = picture.size
    for _ in range(rng.poisson(4 * difficulty)):
        colour = tuple(int(value) for value in rng.integers(0, 256, size=3))
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        reach = float(rng.uniform(0.05, 0.3)) * min(width, height)
        if rng.random() < 0.6:
            turn = rng.uniform(0, 2 * np.pi)
            pen.line((x, y, x + reach * np.cos(turn), y + reach * np.sin(turn)), fill=colour, width=2)
        else:
            pen.ellipse((x, y, x + reach, y + reach), outline=colour)
    return picture


def _with_card(picture: Image.Image, placed: Sequence[Placement], rng: np.random.Generator) -> Image.Image:
    """Return the picture with a pale, slightly transparent card behind the letters."""
    left = min(p.centre[0] - p.reach for p in placed)
    right = max(p.centre[0] + p.reach for p in placed)
    top = min(p.centre[1] - p.reach for p in placed)
    bottom = max(p.centre[1] + p.reach for p in placed)
    margin = 0.03 * min(picture.size)
    corners = (left - margin, top - margin, right + margin, bottom + margin)
    pale = tuple(int(value) for value in rng.integers(225, 256, size=3))
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).rounded_rectangle(corners, radius=margin, fill=int(rng.integers(190, 240)))
    return Image.composite(Image.new("RGB", picture.size, pale), picture, mask)


def _draw_letter(
    pixels: NDArray[np.float32], placement: Placement, spec: ChartSpec, rng: np.random.Generator
) -> ChartLetter:
    """Paint one letter into ``pixels`` and return what can be seen of it."""
    text = spec.letters[placement.label]
    coverage, (left, top) = letter_coverage(
        text, height=placement.height, angle_deg=placement.angle_deg, centre=placement.centre
    )
    rows, columns = coverage.shape
    if rng.random() < 0.4 * spec.difficulty:
        coverage = coverage * _gap(coverage.shape, spec.difficulty, rng)
    # Letters are placed inside, but the patch has a free border that may reach over the edge.
    cut_top, cut_left = max(-top, 0), max(-left, 0)
    height, width = pixels.shape[:2]
    coverage = coverage[cut_top : min(rows, height - top), cut_left : min(columns, width - left)]
    top, left = top + cut_top, left + cut_left
    patch = pixels[top : top + coverage.shape[0], left : left + coverage.shape[1]]
    patch += coverage[..., None] * (_colour(patch, spec.difficulty, rng) - patch)

    seen = coverage >= min(_COVERED, float(coverage.max()))  # the finest strokes never cover half a pixel
    seen_rows, seen_columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    y1, y2, x1, x2 = (
        int(seen_rows[0]),
        int(seen_rows[-1]) + 1,
        int(seen_columns[0]),
        int(seen_columns[-1]) + 1,
    )
    return ChartLetter(
        text=text,
        label=placement.label,
        height=placement.height,
        box=(left + x1, top + y1, left + x2, top + y2),
        mask=seen[y1:y2, x1:x2],
    )


def _colour(patch: NDArray[np.float32], difficulty: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a random colour whose grey value stands off from that of the patch."""
    local = float(np.mean(patch, axis=(0, 1)) @ _GREY)
    room_up, room_down = 255 - local, local
    is_lighter = rng.random() < room_up / 255
    if min(room_up, room_down) < _LEAST_ROOM:
        is_lighter = room_up > room_down
    distance = float(rng.uniform(0.75, 1.0)) * (1 - 0.6 * difficulty)
    grey = local + distance * room_up if is_lighter else local - distance * room_down
    tint = rng.uniform(-1, 1, size=3) * 60  # grey values; colourful, but the grey value decides
    colour = grey + tint - float(tint @ _GREY)
    return np.array(np.clip(colour, 0, 255), dtype=np.float32)


def _gap(shape: tuple[int, ...], difficulty: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return 0 on a straight stripe through which the background shows, 1 elsewhere."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    turn = rng.uniform(0, np.pi)
    along = (columns - shape[1] / 2) * np.cos(turn) + (rows - shape[0] / 2) * np.sin(turn)
    middle = rng.uniform(-0.3, 0.3) * min(shape)
    half_width = rng.uniform(0.02, 0.03 + 0.09 * difficulty) * min(shape)
    return np.asarray(np.abs(along - middle) > half_width, dtype=np.float32)


def _as_photographed(
    pixels: NDArray[np.float32], difficulty: float, light_shift: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    amount = 2 + 10 * difficulty * float(rng.random())  # grey values
    noise = rng.standard_normal(pixels.shape[:2], dtype=np.float32) * amount
    shifted = pixels + (noise + 255 * light_shift)[..., None]
    image = Image.fromarray(np.clip(shifted, 0, 255).astype(np.uint8))
    radius = 1.2 * difficulty * float(rng.random())
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)) if radius > 0.2 else image)
