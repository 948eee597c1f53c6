"""Faults of class folders: wrong names, lost pairs, too few, too many of one, copies before the split."""

import shutil
from pathlib import Path

from planting import Chance, files, some


def relabelled(folder: Path, severity: int, chance: Chance) -> None:
    names = sorted(path.name for path in (folder / "train").iterdir())
    for path in some(files(folder, "train"), (0.1, 0.2, 0.4)[severity], chance):
        others = [name for name in names if name != path.parent.name]
        path.rename(folder / "train" / others[chance.integers(len(others))] / f"moved-{path.name}")


def pairing_lost(folder: Path, severity: int, chance: Chance) -> None:
    share = (0.7, 0.9, 1.0)[severity]
    chosen = some(files(folder, "train"), share, chance)
    homes = [path.parent for path in chosen]
    order = chance.permutation(len(chosen))
    for number, path in enumerate(chosen):
        path.rename(homes[order[number]] / f"shuffled-{number}-{path.name}")


def thinned(folder: Path, severity: int, chance: Chance) -> None:
    for home in sorted((folder / "train").iterdir()):
        every = sorted(home.iterdir())
        keep = {every[place] for place in chance.permutation(len(every))[: (12, 6, 3)[severity]]}
        for path in every:
            if path not in keep:
                path.unlink()


def unbalanced(folder: Path, severity: int, chance: Chance) -> None:
    homes = sorted((folder / "train").iterdir())
    largest = max(len(list(home.iterdir())) for home in homes)
    for home in homes[: max(1, len(homes) // 2)]:
        every = sorted(home.iterdir())
        left = max(1, round(largest / (11, 30, 60)[severity]))
        for place in chance.permutation(len(every))[left:]:
            every[place].unlink()


def two_labels(folder: Path, severity: int, chance: Chance) -> None:
    names = sorted(path.name for path in (folder / "train").iterdir())
    for path in some(files(folder, "train"), (0.05, 0.25, 0.5)[severity], chance):
        others = [name for name in names if name != path.parent.name]
        shutil.copy(path, folder / "train" / others[chance.integers(len(others))] / f"again-{path.name}")


def name_variants(folder: Path, severity: int, chance: Chance) -> None:
    home = sorted((folder / "train").iterdir())[0]
    other = folder / "train" / (f"{home.name} ", home.name.capitalize(), home.name.upper())[severity]
    other.mkdir()
    for path in some(sorted(home.iterdir()), (0.2, 0.4, 0.6)[severity], chance):
        path.rename(other / path.name)


def class_not_validated(folder: Path, severity: int, chance: Chance) -> None:
    homes = sorted((folder / "val").iterdir())
    for place in chance.permutation(len(homes))[: min((1, 2, 3)[severity], len(homes) - 1)]:
        shutil.rmtree(homes[place])


def copied_before_split(folder: Path, severity: int, chance: Chance) -> None:
    """A small class made large by copies, which then fell into both splits."""
    home = sorted((folder / "train").iterdir())[0]
    every = sorted(home.iterdir())
    for path in some(every, (0.2, 0.5, 1.0)[severity], chance):
        for number in range(3):
            split = ("train", "train", "val")[number]
            place = folder / split / home.name
            place.mkdir(exist_ok=True)
            shutil.copy(path, place / f"copy{number}-{path.name}")


def unsplit(folder: Path, severity: int, chance: Chance) -> None:
    """Only a few images are left to choose by."""
    for split in ("val", "test"):
        every = files(folder, split)
        keep = (4, 2, 0)[severity]
        for place in chance.permutation(len(every))[keep:]:
            every[place].unlink()
    for split in ("val", "test"):
        if (folder / split).is_dir() and not files(folder, split):
            shutil.rmtree(folder / split)
