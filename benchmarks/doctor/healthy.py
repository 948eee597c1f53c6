"""The healthy pool: data sets and set-ups at which the doctor must keep quiet, odd but fine ones among them."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torchvision
from PIL import Image, ImageOps
from planting import coco, files, splits, write_coco
from safetensors.torch import load_file
from setups import SetUp, batch_of, convolutional, segmenter, sgd, small_classifier
from torch import Tensor, nn
from torch.nn import functional

from snellen.data import ReadOptions
from snellen.doctor import Setup

__all__ = ["HEALTHY_DATA", "HEALTHY_SETUPS", "WHOLE_SETS"]

# Real data sets as they are, with what their readers have to be told.
WHOLE_SETS: Mapping[str, Mapping[str, object]] = {
    "bccd": {},
    "fruit": {},
    "coco": {},
    "pennfudan": {},
    "camvid": {"read": ReadOptions(ignore_index=11)},
    "horses": {},
    "isbi_em": {},
    "hymenoptera": {},
    "inria_crops": {},
}

Rewrite = Callable[[Path], None]


def grey(folder: Path) -> None:
    for path in every(folder):
        with Image.open(path) as image:
            one = image.convert("L")
        one.save(path)


def sixteen_bit(folder: Path) -> None:
    """Grey PNG of 16 bits in place of the files; the names stay what they were in the labels."""
    table = {}
    for path in every(folder):
        with Image.open(path) as image:
            values = image.convert("I").point(lambda value: value * 257)
        deep = path.with_suffix(".png")
        path.unlink()
        values.convert("I;16").save(deep)
        table[path.name] = deep.name
    for split in splits(folder):
        if (folder / "annotations").is_dir():
            content = coco(folder, split)
            for entry in content["images"]:
                entry["file_name"] = table[entry["file_name"]]
            write_coco(folder, split, content)


def mirrored(folder: Path) -> None:
    for path in every(folder):
        with Image.open(path) as image:
            turned = ImageOps.mirror(image.convert("RGB"))
        turned.save(path)


def compressed(folder: Path) -> None:
    for path in every(folder):
        with Image.open(path) as image:
            plain = image.convert("RGB")
        plain.save(path, **({"quality": 55} if path.suffix.lower() in (".jpg", ".jpeg") else {}))


def few_shot(folder: Path) -> None:
    for home in (folder / "train").iterdir():
        for path in sorted(home.iterdir())[24:]:
            path.unlink()


def two_splits(folder: Path) -> None:
    shutil.rmtree(folder / "test")
    (folder / "annotations" / "instances_test.json").unlink(missing_ok=True)


def one_class(folder: Path) -> None:
    for split in splits(folder):
        table = coco(folder, split)
        first = table["categories"][0]["id"]
        table["categories"] = table["categories"][:1]
        for box in table["annotations"]:
            box["category_id"] = first
        write_coco(folder, split, table)


def with_negatives(folder: Path) -> None:
    """A fifth of the images without objects: they say so, and that is fine."""
    for split in splits(folder):
        table = coco(folder, split)
        empty = {entry["id"] for entry in table["images"][::5]}
        table["annotations"] = [box for box in table["annotations"] if box["image_id"] not in empty]
        for entry in table["images"][::5]:
            path = folder / split / entry["file_name"]
            with Image.open(path) as image:
                image.convert("RGB").resize((40, 30)).resize(image.size).save(path)
        write_coco(folder, split, table)


def enlarged(folder: Path) -> None:
    for path in every(folder):
        with Image.open(path) as image:
            large = image.convert("RGB").resize((image.width * 2, image.height * 2), Image.Resampling.LANCZOS)
        large.save(path)


def as_yolo(folder: Path) -> None:
    rewritten(folder, "yolo")


def as_voc(folder: Path) -> None:
    rewritten(folder, "voc")


def as_csv(folder: Path) -> None:
    rewritten(folder, "csv")


def rewritten(folder: Path, to: str) -> None:
    from snellen.recipes import convert, load

    old = folder.with_name(f"{folder.name}-old")
    folder.rename(old)
    convert(load(old), folder, to)
    shutil.rmtree(old)


def sparse_numbers(folder: Path) -> None:
    """Category numbers with gaps, as COCO's own."""
    for split in splits(folder):
        table = coco(folder, split)
        new = {entry["id"]: 3 + 7 * place for place, entry in enumerate(table["categories"])}
        for entry in table["categories"]:
            entry["id"] = new[entry["id"]]
        for box in table["annotations"]:
            box["category_id"] = new[box["category_id"]]
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(table))


def every(folder: Path) -> list[Path]:
    return [path for split in splits(folder) for path in files(folder, split)]


def same(folder: Path) -> None:
    del folder


# Name of the base and what is done to it; each must stay as healthy as it was.
HEALTHY_DATA: tuple[tuple[str, str, Rewrite], ...] = (
    *((base, "as it is", same) for base in ("cells", "people", "charts", "insects", "thumbs", "streets")),
    *((base, "grey", grey) for base in ("cells", "people", "insects", "thumbs", "streets")),
    *((base, "16 bits", sixteen_bit) for base in ("cells", "insects", "thumbs")),
    *((base, "mirrored", mirrored) for base in ("insects", "thumbs")),
    *((base, "compressed", compressed) for base in ("cells", "people", "insects", "streets")),
    ("insects", "few shots", few_shot),
    ("thumbs", "few shots", few_shot),
    *((base, "without test", two_splits) for base in ("cells", "charts", "thumbs", "streets")),
    *((base, "one class", one_class) for base in ("cells", "charts")),
    *((base, "negatives", with_negatives) for base in ("cells", "charts")),
    ("thumbs", "enlarged", enlarged),
    *((base, "YOLO", as_yolo) for base in ("cells", "people", "charts")),
    *((base, "VOC", as_voc) for base in ("cells", "charts")),
    *((base, "CSV", as_csv) for base in ("insects", "thumbs")),
    *((base, "sparse numbers", sparse_numbers) for base in ("cells", "charts")),
)


Bases = Mapping[str, Path]


def classifier(
    build: Callable[[], nn.Module], size: int = 64, count: int = 8, lr: float = 0.01
) -> Callable[[Bases], SetUp]:
    def made(bases: Bases) -> SetUp:
        torch.manual_seed(0)
        model = build()
        return SetUp(model=model, batch=batch_of(bases["thumbs"], size, count), loss=functional.cross_entropy,
                     optimizer=sgd(model.parameters(), lr), options={"num_classes": 10})  # fmt: skip

    return made


def torchvision_model(name: str) -> Callable[[Bases], SetUp]:
    return classifier(lambda: torchvision.models.get_model(name, weights=None, num_classes=10))


def changed(change: Callable[[SetUp], SetUp]) -> Callable[[Bases], SetUp]:
    return lambda bases: change(small_classifier(bases))


def with_optimizer(make: Callable[[nn.Module], torch.optim.Optimizer]) -> Callable[[Bases], SetUp]:
    def change(setup: SetUp) -> SetUp:
        setup.optimizer = make(setup.model)
        return setup

    return changed(change)


def with_loss(
    loss: Callable[..., Tensor], targets: Callable[[Tensor], Tensor] = lambda y: y
) -> Callable[[Bases], SetUp]:
    def change(setup: SetUp) -> SetUp:
        setup.loss = loss
        setup.batch = (setup.batch[0], targets(setup.batch[1]))
        return setup

    return changed(change)


def with_layers(old: type[nn.Module], new: Callable[[nn.Module], nn.Module]) -> Callable[[Bases], SetUp]:
    def made(bases: Bases) -> SetUp:
        torch.manual_seed(0)
        setup = small_classifier(bases)
        layers = [new(layer) if isinstance(layer, old) else layer for layer in setup.model]  # type: ignore[arg-type]
        setup.model = nn.Sequential(*layers)
        setup.optimizer = sgd(setup.model.parameters())
        return setup

    return made


def focal(x: Tensor, y: Tensor) -> Tensor:
    logs = x.log_softmax(1).gather(1, y[:, None])[:, 0]
    return (-((1 - logs.exp()) ** 2) * logs).mean()


def fine_tuned(bases: Bases, *, frozen: bool, lr: float) -> SetUp:
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v2(num_classes=2)
    weights = load_file(bases["weights"] / "mobilenet_v2_imagenet.safetensors")
    model.load_state_dict(
        {name: value.float() for name, value in weights.items() if "classifier" not in name}, strict=False
    )
    if frozen:
        for parameter in model.features.parameters():
            parameter.requires_grad_(requires_grad=False)
    images, labels = batch_of(bases["insects"], 96, 16, normalise=False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return SetUp(
        model=model,
        batch=(images * 2 - 1, labels),
        loss=functional.cross_entropy,
        optimizer=torch.optim.AdamW(trained, lr=lr),
        options={"num_classes": 2, "setup": Setup(pretrained=True)},
    )


def detector(name: str, **options: int) -> Callable[[Bases], SetUp]:
    def made(bases: Bases) -> SetUp:
        torch.manual_seed(0)
        build = getattr(torchvision.models.detection, name)
        model = build(weights=None, weights_backbone=None, num_classes=11, **options)
        table = coco(bases["charts"], "train")
        images, targets = [], []
        for entry in table["images"][:4]:
            with Image.open(bases["charts"] / "train" / entry["file_name"]) as image:
                images.append(torchvision.transforms.functional.to_tensor(image.convert("RGB")))
            own = [box for box in table["annotations"] if box["image_id"] == entry["id"]]
            corners = [[x, y, x + w, y + h] for x, y, w, h in (box["bbox"] for box in own)]
            labels = torch.tensor([box["category_id"] for box in own])
            targets.append({"boxes": torch.tensor(corners), "labels": labels})
        return SetUp(
            model=model, batch=(images, targets), loss=None, optimizer=sgd(model.parameters(), 0.005), options={}
        )

    return made


def segmentation(name: str) -> Callable[[Bases], SetUp]:
    def made(bases: Bases) -> SetUp:
        torch.manual_seed(0)
        setup = segmenter(bases)
        build = getattr(torchvision.models.segmentation, name)
        setup.model = build(weights=None, weights_backbone=None, num_classes=11)
        setup.loss = lambda out, y: functional.cross_entropy(out["out"], y, ignore_index=255)
        setup.optimizer = sgd(setup.model.parameters(), 0.01)
        return setup

    return made


def regression(bases: Bases) -> SetUp:
    torch.manual_seed(0)
    images, _ = batch_of(bases["thumbs"], 32, 32)
    model = convolutional(1)
    return SetUp(model=model, batch=(images, images.mean((1, 2, 3))[:, None]), loss=functional.mse_loss,
                 optimizer=sgd(model.parameters(), 0.01), options={})  # fmt: skip


def one_channel(bases: Bases) -> SetUp:
    torch.manual_seed(0)
    images, labels = batch_of(bases["thumbs"], 32, 32)
    model = convolutional()
    model[0] = nn.Conv2d(1, 32, 3, padding=1, bias=False)
    return SetUp(model=model, batch=(images.mean(1, keepdim=True), labels), loss=functional.cross_entropy,
                 optimizer=sgd(model.parameters()), options={"num_classes": 10})  # fmt: skip


def soft(y: Tensor) -> Tensor:
    hot = functional.one_hot(y, 10).float()
    return 0.7 * hot + 0.3 * hot.roll(1, 0)


HEALTHY_SETUPS: Mapping[str, Callable[[Bases], SetUp]] = {
    "small classifier": small_classifier,
    "segmenter": segmenter,
    **{
        name: torchvision_model(name)
        for name in (
            "resnet18",
            "resnet34",
            "mobilenet_v2",
            "mobilenet_v3_small",
            "shufflenet_v2_x0_5",
            "efficientnet_b0",
            "densenet121",
            "vgg11_bn",
            "regnet_y_400mf",
            "mnasnet0_5",
            "convnext_tiny",
            "swin_t",
        )
    },
    "AdamW": with_optimizer(lambda model: torch.optim.AdamW(model.parameters(), lr=1e-3)),
    "Adam": with_optimizer(lambda model: torch.optim.Adam(model.parameters(), lr=3e-4)),
    "RMSprop": with_optimizer(lambda model: torch.optim.RMSprop(model.parameters(), lr=1e-3)),
    "SGD, Nesterov": with_optimizer(
        lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    ),
    "SGD, two groups": with_optimizer(
        lambda model: torch.optim.SGD(
            [
                {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 5e-4},
                {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=0.05,
            momentum=0.9,
        )
    ),
    "small rate": with_optimizer(lambda model: torch.optim.AdamW(model.parameters(), lr=5e-5)),
    "label smoothing": with_loss(lambda x, y: functional.cross_entropy(x, y, label_smoothing=0.1)),
    "mixed labels": with_loss(functional.cross_entropy, soft),
    "focal loss": with_loss(focal),
    "many labels": with_loss(
        functional.binary_cross_entropy_with_logits,
        lambda y: (functional.one_hot(y, 10) | functional.one_hot((y + 3) % 10, 10)).float(),
    ),
    "class weights": with_loss(lambda x, y: functional.cross_entropy(x, y, weight=torch.linspace(0.5, 2, 10))),
    "log-softmax and NLL": with_loss(lambda x, y: functional.nll_loss(x.log_softmax(1), y)),
    "group norm": with_layers(nn.BatchNorm2d, lambda layer: nn.GroupNorm(8, layer.num_features)),
    "instance norm": with_layers(nn.BatchNorm2d, lambda layer: nn.InstanceNorm2d(layer.num_features, affine=True)),
    "leaky ReLU": with_layers(nn.ReLU, lambda _: nn.LeakyReLU(0.1)),
    "GELU": with_layers(nn.ReLU, lambda _: nn.GELU()),
    "SiLU": with_layers(nn.ReLU, lambda _: nn.SiLU()),
    "ELU": with_layers(nn.ReLU, lambda _: nn.ELU()),
    "average pooling": with_layers(nn.MaxPool2d, lambda _: nn.AvgPool2d(2)),
    "dropout": with_layers(nn.Flatten, lambda _: nn.Sequential(nn.Flatten(), nn.Dropout(0.5))),
    "no norm": classifier(lambda: convolutional(norm=False), size=32, count=32),
    "one channel": one_channel,
    "regression": regression,
    "frozen backbone with weights": lambda bases: fine_tuned(bases, frozen=True, lr=1e-3),
    "fine-tuned": lambda bases: fine_tuned(bases, frozen=False, lr=1e-4),
    "fine-tuned, tiny rate": lambda bases: fine_tuned(bases, frozen=False, lr=1e-5),
    "FCN": segmentation("fcn_resnet50"),
    "LR-ASPP": segmentation("lraspp_mobilenet_v3_large"),
    "Faster R-CNN": detector("fasterrcnn_mobilenet_v3_large_320_fpn", trainable_backbone_layers=6),
    "SSDLite": detector("ssdlite320_mobilenet_v3_large"),
}
