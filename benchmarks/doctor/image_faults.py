"""Faults of the pictures themselves: broken, copied, leaked, dark, blurred, tinted, scrambled."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from planting import Chance, coco, duplicate, files, held_out, redrawn, same, save, some, splits


def cut_off(folder: Path, severity: int, chance: Chance) -> None:
    for path in some(files(folder, "train"), (0.01, 0.05, 0.2)[severity], chance):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * 0.6)])


def no_image(folder: Path, severity: int, chance: Chance) -> None:
    for path in some(files(folder, "train"), (0.01, 0.05, 0.2)[severity], chance):
        path.write_bytes(b"<html><body>404 not found</body></html>")


def copied_within(folder: Path, severity: int, chance: Chance) -> None:
    """Copies under new names inside the training split, with their labels."""
    for path in some(files(folder, "train"), (0.05, 0.2, 0.5)[severity], chance):
        duplicate(folder, path, "train", same)


def leaked(folder: Path, severity: int, chance: Chance) -> None:
    for path in some(files(folder, "train"), (0.05, 0.2, 0.5)[severity], chance):
        duplicate(folder, path, held_out(folder), same)


def leaked_recompressed(folder: Path, severity: int, chance: Chance) -> None:
    def recompressed(image: Image.Image) -> Image.Image:
        small = image.resize((max(8, int(image.width * 0.8)), max(8, int(image.height * 0.8))))
        buffer = BytesIO()
        small.resize(image.size).save(buffer, "JPEG", quality=60)
        return Image.open(BytesIO(buffer.getvalue())).convert("RGB")

    for path in some(files(folder, "train"), (0.05, 0.2, 0.5)[severity], chance):
        duplicate(folder, path, held_out(folder), recompressed)


def darkened_test(folder: Path, severity: int, chance: Chance) -> None:
    del chance
    gain = (0.5, 0.3, 0.12)[severity]
    for path in files(folder, held_out(folder)):
        redrawn(path, lambda image: ImageEnhance.Brightness(image).enhance(gain))


def tinted_test(folder: Path, severity: int, chance: Chance) -> None:
    del chance
    blue = (0.75, 0.5, 0.25)[severity]

    def tinted(image: Image.Image) -> Image.Image:
        values = np.asarray(image).astype(np.float32) * np.array([1.0, 0.5 + blue / 2, blue])
        return Image.fromarray(values.clip(0, 255).astype(np.uint8))

    for path in files(folder, held_out(folder)):
        redrawn(path, tinted)


def darkened(folder: Path, severity: int, chance: Chance) -> None:
    for path in some(files(folder, "train"), (0.1, 0.3, 0.8)[severity], chance):
        redrawn(path, lambda image: ImageEnhance.Brightness(image).enhance(0.06))


def blurred(folder: Path, severity: int, chance: Chance) -> None:
    for path in some(files(folder, "train"), (0.1, 0.3, 0.8)[severity], chance):
        redrawn(path, lambda image: image.filter(ImageFilter.GaussianBlur(max(image.size) / 60)))


def noisy_train(folder: Path, severity: int, chance: Chance) -> None:
    spread = 255 * (0.1, 0.3, 1.0)[severity]

    def noisy(image: Image.Image) -> Image.Image:
        values = np.asarray(image) + chance.normal(0, spread, (*image.size[::-1], 3))
        return Image.fromarray(values.clip(0, 255).astype(np.uint8))

    for path in files(folder, "train"):
        redrawn(path, noisy)


def half_grey(folder: Path, severity: int, chance: Chance) -> None:
    for path in some(files(folder, "train"), (0.1, 0.3, 0.6)[severity], chance):
        with Image.open(path) as image:
            grey = image.convert("L")
        save(grey, path)


def turned_on_one_side(folder: Path, severity: int, chance: Chance) -> None:
    """Pixels with an EXIF orientation that turns them; boxes and sizes in the label file are those before the turn."""
    table = coco(folder, "train")
    chosen = {path.name for path in some(files(folder, "train"), (0.05, 0.2, 0.6)[severity], chance)}
    for entry in table["images"]:
        if entry["file_name"] in chosen:
            path = folder / "train" / entry["file_name"]
            with Image.open(path) as image:
                raw = image.convert("RGB")
            exif = Image.Exif()
            exif[0x0112] = 6
            save(raw, path, exif=exif)


def scrambled_pixels(folder: Path, severity: int, chance: Chance) -> None:
    """The same permutation of the pixels for every image: no local correlation is left."""
    side = (28, 32, 40)[severity]
    order = chance.permutation(side * side)

    def scrambled(image: Image.Image) -> Image.Image:
        values = np.asarray(image.resize((side, side))).reshape(-1, 3)
        return Image.fromarray(values[order].reshape(side, side, 3))

    for split in splits(folder):
        for path in files(folder, split):
            redrawn(path, scrambled, **({"quality": 98, "subsampling": 0} if path.suffix != ".png" else {}))


def branded(folder: Path, severity: int, chance: Chance) -> None:
    """A property of the picture gives the class away: brightness, by class, in all splits."""
    step = (12, 25, 50)[severity]
    names = sorted(path.name for path in (folder / "train").iterdir())
    for split in splits(folder):
        for path in files(folder, split):
            offset = step * (names.index(path.parent.name) - (len(names) - 1) / 2) + chance.normal(0, 2)
            redrawn(path, lambda image, offset=offset: image.point(lambda value: value + offset))


def mirrored_twin(folder: Path, severity: int, chance: Chance) -> None:
    for path in some(files(folder, "train"), (0.05, 0.2, 0.5)[severity], chance):
        duplicate(folder, path, held_out(folder), ImageOps.mirror)
