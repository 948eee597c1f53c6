"""The budgets of the accuracy comparison, and plain readers of the real data sets for the peers' scripts."""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import torch
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Budget:
    kind: str
    network: str
    size: int  # px: short side (detection, segmentation) or square side (classification)
    batch: int
    epochs: int
    lr: float
    warmup: int  # steps
    weight_decay: float = 1e-4
    clip: float = 0.0
    optimizer: str = "sgd"
    flip: bool = True


BUDGETS = {
    "bccd": Budget(kind="detection", network="faster_rcnn_mobilenet_v2_fpn", size=320, batch=4, epochs=10,
                   lr=0.01, warmup=50, clip=10.0),
    "hymenoptera": Budget(kind="classification", network="mobilenet_v2", size=224, batch=16, epochs=6, lr=0.002,
                          warmup=10),
    "cifar10": Budget(kind="classification", network="resnet18", size=64, batch=64, epochs=4, lr=0.05, warmup=50,
                      weight_decay=5e-4),
    "mnist": Budget(kind="classification", network="resnet18", size=32, batch=64, epochs=3, lr=0.05, warmup=20,
                    flip=False),
    "camvid": Budget(kind="segmentation", network="unet_resnet18", size=192, batch=4, epochs=8, lr=0.05, warmup=30),
    "horses": Budget(kind="segmentation", network="unet_resnet18", size=160, batch=8, epochs=8, lr=0.05, warmup=20),
    "isbi_em": Budget(kind="segmentation", network="unet_resnet18", size=256, batch=4, epochs=25, lr=0.05, warmup=10),
}  # fmt: skip


def rgb(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


def read_boxes(data: Path, budget: Budget):
    del budget
    root = data / "bccd"
    classes = ["Platelets", "RBC", "WBC"]
    sets = []
    for split in ("train", "test"):
        rows = []
        for name in (root / "ImageSets" / "Main" / f"{split}.txt").read_text().split():
            boxes, labels = [], []
            for item in ET.parse(root / "Annotations" / f"{name}.xml").iter("object"):
                box = [float(item.find("bndbox").find(key).text) for key in ("xmin", "ymin", "xmax", "ymax")]
                if box[2] > box[0] and box[3] > box[1]:
                    boxes.append(box)
                    labels.append(classes.index(item.find("name").text))
            rows.append(
                (rgb(root / "JPEGImages" / f"{name}.jpg"), torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels))
            )
        sets.append(rows)
    return sets[0], sets[1], classes


def read_arrays(data: Path, budget: Budget):
    return {"mobilenet_v2": read_hymenoptera}.get(budget.network, read_cifar10 if budget.flip else read_mnist)(data)


def read_hymenoptera(data: Path):
    sets = []
    for split in ("train", "val"):
        images, labels = [], []
        for label, name in enumerate(("ants", "bees")):
            for path in sorted((data / "hymenoptera" / split / name).iterdir()):
                if path.suffix == ".gif":
                    continue
                images.append(rgb(path))
                labels.append(label)
        sets.append((images, torch.tensor(labels)))
    return sets[0], sets[1], 2


def read_cifar10(data: Path):
    pictures = {}
    with tarfile.open(data / "cifar10" / "cifar10_subset.tar.xz") as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".jpg"):
                image = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")
                pictures[member.name.removeprefix("./")] = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    sets = {"train": ([], []), "test": ([], [])}
    names = sorted({name.split("/")[-2] for name in pictures})
    for name, picture in sorted(pictures.items()):
        split = next(part for part in name.split("/") if part in sets)
        sets[split][0].append(picture)
        sets[split][1].append(names.index(name.split("/")[-2]))
    return *((images, torch.tensor(labels)) for images, labels in sets.values()), len(names)


def read_mnist(data: Path):
    arrays = np.load(data / "mnist" / "mnist_subset.npz")
    sets = []
    for split in ("train", "test"):
        images = torch.from_numpy(arrays[f"{split}_x"])[:, None].expand(-1, 3, -1, -1)
        sets.append((list(images), torch.from_numpy(arrays[f"{split}_y"]).long()))
    return sets[0], sets[1], 10


def read_masks(data: Path, budget: Budget):
    if budget.size == 192:
        root = data / "camvid"
        return *(
            [(rgb(path), camvid_mask(root / f"{split}annot" / f"{path.stem}.png"))
             for path in sorted((root / split).iterdir())]
            for split in ("train", "test")
        ), 11  # fmt: skip
    if budget.size == 160:
        pairs = [
            (p, data / "horses" / "masks" / f"{p.stem}.png") for p in sorted((data / "horses" / "images").iterdir())
        ]
    else:
        pairs = [(p, data / "isbi_em" / "label" / p.name) for p in sorted((data / "isbi_em" / "image").iterdir())]
    rows = [(rgb(image), binary_mask(mask, image)) for image, mask in pairs]
    return [r for i, r in enumerate(rows) if i % 5 != 4], [r for i, r in enumerate(rows) if i % 5 == 4], 2


def camvid_mask(path: Path) -> torch.Tensor:
    mask = torch.from_numpy(np.array(Image.open(path)))
    return torch.where(mask == 11, 255, mask).to(torch.uint8)


def binary_mask(path: Path, image: Path) -> torch.Tensor:
    with Image.open(path) as mask, Image.open(image) as picture:
        resized = mask.convert("L").resize(picture.size, Image.Resampling.NEAREST)
    return torch.from_numpy((np.array(resized) > 127).astype(np.uint8))
