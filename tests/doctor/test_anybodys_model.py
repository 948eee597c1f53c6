"""`examine` runs on models of five origins without our code in them: quiet on the healthy, right on a planted fault.

All have random weights and see small images. Every row names what is wrong with its sick twin.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import snellen
from snellen.doctor import Diagnosis, Level, Status

pytestmark = pytest.mark.filterwarnings("ignore")  # other people's libraries warn as they like

BATCH, SIDE, CLASSES = 4, 32, 3
MEAN, STD = (torch.tensor(part)[:, None, None] for part in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


@dataclass(kw_only=True)
class Case:
    """What is handed to `examine`; a fault changes it in place."""

    model: nn.Module
    batch: Any
    loss: Any = None
    optimizer: torch.optim.Optimizer | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def examined(self, checks: tuple[str, ...]) -> Diagnosis:
        optimizer = self.optimizer or torch.optim.SGD(self.model.parameters(), lr=0.01)
        return snellen.examine(self.model, self.batch, self.loss, optimizer, select=checks, **self.more)


class Then(nn.Module):
    """A model, and something behind it that does not belong there."""

    def __init__(self, model: nn.Module, behind: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.behind = behind

    def forward(self, images: Tensor) -> Tensor:
        return self.behind(self.model(images))


def bytes_as_unit(side: int = SIDE) -> Tensor:
    return torch.randint(256, (BATCH, 3, side, side)) / 255


def images(side: int = SIDE) -> Tensor:
    return (bytes_as_unit(side) - MEAN) / STD


LABELS = torch.tensor([0, 1, 2, 1])


def masks(side: int = SIDE) -> Tensor:
    return torch.randint(CLASSES, (BATCH, side, side))


def classifier(model: nn.Module, side: int = SIDE) -> Case:
    return Case(model=model, batch=(images(side), LABELS), loss=functional.cross_entropy)


def segmenter(model: nn.Module, side: int = SIDE) -> Case:
    return Case(model=model, batch=(images(side), masks(side)), loss=functional.cross_entropy)


# torchvision


def tv_resnet() -> Case:
    from torchvision.models import resnet18

    return classifier(resnet18(num_classes=CLASSES))


def tv_mobilenet() -> Case:
    from torchvision.models import mobilenet_v3_small

    return classifier(mobilenet_v3_small(num_classes=CLASSES))


def tv_squeezenet() -> Case:
    from torchvision.models import squeezenet1_1

    return classifier(squeezenet1_1(num_classes=CLASSES))


def tv_lraspp() -> Case:
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    return segmenter(lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=CLASSES), 64)


def detector(name: str, **options: Any) -> Case:
    from torchvision.models import detection

    boxes = torch.tensor([[4.0, 4.0, 50.0, 60.0], [30.0, 20.0, 80.0, 80.0]])
    pictures = [torch.rand(3, 96, 96), torch.rand(3, 80, 96)]
    targets = [{"boxes": boxes.clone(), "labels": torch.tensor([1, 2])} for _ in pictures]
    model = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=CLASSES, **options)
    return Case(model=model, batch=(pictures, targets))


def tv_retinanet() -> Case:
    return detector("retinanet_resnet50_fpn", min_size=96, max_size=128)


def tv_faster_rcnn() -> Case:
    return detector("fasterrcnn_mobilenet_v3_large_320_fpn", min_size=128, max_size=160)


# timm


def timm_model(name: str, **options: Any) -> nn.Module:
    timm = pytest.importorskip("timm")
    return timm.create_model(name, num_classes=CLASSES, **options)


def timm_resnet() -> Case:
    return classifier(timm_model("resnet10t"))


def timm_convnext() -> Case:
    return classifier(timm_model("convnext_atto"))


def timm_vit() -> Case:
    return classifier(timm_model("vit_tiny_patch16_224", img_size=SIDE, depth=2))


# segmentation-models-pytorch


def smp_unet() -> Case:
    smp = pytest.importorskip("segmentation_models_pytorch")
    case = segmenter(smp.Unet("resnet18", encoder_weights=None, classes=1))
    case.batch = (case.batch[0], (case.batch[1][:, None] == 1).float())
    case.loss = nn.BCEWithLogitsLoss()
    return case


def smp_fpn() -> Case:
    smp = pytest.importorskip("segmentation_models_pytorch")
    case = segmenter(smp.FPN("mobilenet_v2", encoder_weights=None, classes=CLASSES))
    case.loss = smp.losses.DiceLoss("multiclass")
    return case


# transformers


def hf_vit() -> Case:
    tr = pytest.importorskip("transformers")
    config = tr.ViTConfig(**SMALL, image_size=SIDE, patch_size=8, num_labels=CLASSES)
    return Case(model=tr.ViTForImageClassification(config), batch={"pixel_values": images(), "labels": LABELS})


def hf_segformer() -> Case:
    tr = pytest.importorskip("transformers")
    config = tr.SegformerConfig(hidden_sizes=[16, 16, 32, 32], depths=[1] * 4, num_attention_heads=[1, 1, 2, 2],
                                decoder_hidden_size=32, num_labels=CLASSES)  # fmt: skip
    return Case(model=tr.SegformerForSemanticSegmentation(config), batch={"pixel_values": images(), "labels": masks()})


def hf_yolos() -> Case:
    tr = pytest.importorskip("transformers")
    config = tr.YolosConfig(**SMALL, image_size=[SIDE, SIDE], patch_size=8, num_detection_tokens=8, num_labels=CLASSES,
                            hidden_dropout_prob=0.1)  # fmt: skip
    labels = [
        {"class_labels": torch.tensor([0, 1]), "boxes": torch.tensor([[0.5, 0.5, 0.3, 0.3], [0.4, 0.4, 0.2, 0.2]])}
        for _ in range(BATCH)
    ]
    return Case(model=tr.YolosForObjectDetection(config), batch={"pixel_values": images(), "labels": labels})


# by hand


class ByHand(nn.Module):
    """As in a notebook."""

    def __init__(self, blocks: type = nn.ModuleList) -> None:
        super().__init__()
        self.blocks = blocks([nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)])
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = functional.relu(block(x))
        return self.head(x.mean((2, 3)))


def by_hand() -> Case:
    return classifier(ByHand())


# Faults


def softmax_too_many(case: Case) -> None:
    case.model = Then(case.model, nn.Softmax(1))


def labels_from_one(case: Case) -> None:
    case.batch = (case.batch[0], case.batch[1] + 1)


def negated(case: Case) -> None:
    case.loss = lambda output, targets: -functional.cross_entropy(output, targets)


def cut(case: Case) -> None:
    case.model.backbone.register_forward_hook(lambda _, __, maps: {name: each.detach() for name, each in maps.items()})


def normalised_before(case: Case) -> None:
    case.batch = ([(each - MEAN) / STD for each in case.batch[0]], case.batch[1])


def labels_from_zero(case: Case) -> None:
    for target in case.batch[1]:
        target["labels"] -= 1


def unnormalised(case: Case) -> None:
    """Give the weights of somebody who trained with ImageNet's constants, and leave them out."""
    for module in case.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.1)
    case.batch = (bytes_as_unit(), LABELS)


def head_replaced(case: Case) -> None:
    case.optimizer = torch.optim.SGD(case.model.parameters(), lr=0.01)
    case.model.reset_classifier(CLASSES)


def many_labels(case: Case) -> None:
    case.batch = (case.batch[0], torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1]]))


def sigmoid_too_many(case: Case) -> None:
    case.model = Then(case.model, torch.sigmoid)


def softmax_over_batch(case: Case) -> None:
    case.model = Then(case.model, lambda logits: logits.softmax(0))


def blind(case: Case) -> None:
    case.model.vit.register_forward_pre_hook(
        lambda _, given, named: (
            (given, {**named, "pixel_values": torch.zeros_like(named["pixel_values"])})
            if "pixel_values" in named
            else ((torch.zeros_like(given[0]), *given[1:]), named)
        ),
        with_kwargs=True,
    )


def never_cleared(case: Case) -> None:
    case.optimizer = optimizer = torch.optim.SGD(case.model.parameters(), lr=0.01)

    def step(batch: Any) -> None:
        case.model(**batch).loss.backward()
        optimizer.step()

    case.more = {"step": step}


def validated_in_training(case: Case) -> None:
    case.more = {"validate": lambda batch: case.model(**batch)}


def in_a_list(case: Case) -> None:
    case.model = ByHand(list)


@dataclass(frozen=True)
class Row:
    name: str
    build: Callable[[], Case]
    plant: Callable[[Case], None]
    code: str
    message: str
    marks: tuple[pytest.MarkDecorator, ...] = ()


ROWS = (
    Row("torchvision-resnet18", tv_resnet, softmax_too_many, "M4", "softmax_twice"),
    Row("torchvision-mobilenet_v3", tv_mobilenet, labels_from_one, "M1", "labels_from_one"),
    Row("torchvision-squeezenet", tv_squeezenet, negated, "M20", "negated"),
    Row("torchvision-lraspp", tv_lraspp, cut, "M6", "cut", (pytest.mark.slow,)),
    Row("torchvision-retinanet", tv_retinanet, normalised_before, "M3", "normalised_twice", (pytest.mark.slow,)),
    Row("torchvision-faster_rcnn", tv_faster_rcnn, labels_from_zero, "M1", "label_is_background", (pytest.mark.slow,)),
    Row("timm-resnet10t", timm_resnet, unnormalised, "M3", "other_than_declared"),
    Row("timm-convnext_atto", timm_convnext, head_replaced, "M5", "head_missing"),
    Row("timm-vit_tiny", timm_vit, many_labels, "M25", "softmax_for_many"),
    Row("smp-unet", smp_unet, sigmoid_too_many, "M4", "sigmoid_twice"),
    Row("smp-fpn", smp_fpn, softmax_over_batch, "M8", "leak"),
    Row("transformers-vit", hf_vit, blind, "M15", "default"),
    Row("transformers-segformer", hf_segformer, never_cleared, "M16", "default"),
    Row("transformers-yolos", hf_yolos, validated_in_training, "M7", "training_in_validation"),
    Row("by_hand", by_hand, in_a_list, "M5", "unregistered"),
)
CONTRACTS = ("M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "M15", "M16", "M20", "M24", "M25")
EACH = pytest.mark.parametrize("row", [pytest.param(row, id=row.name, marks=row.marks) for row in ROWS])
BOTH = pytest.mark.parametrize(
    "checks", [pytest.param(CONTRACTS, id="contracts"), pytest.param((), id="all", marks=pytest.mark.slow)]
)


def built(row: Row) -> Case:
    torch.manual_seed(0)
    return row.build()


def bits(case: Case) -> list[Any]:
    """Return everything that an examination could leave different."""
    modules = list(case.model.modules())
    return [
        *(value.clone() for value in case.model.state_dict().values()),
        *(parameter.grad for parameter in case.model.parameters()),
        *(parameter.requires_grad for parameter in case.model.parameters()),
        *(module.training for module in modules),
        *(sorted(vars(module)) for module in modules),
        *(len(hooks) for module in modules for hooks in (module._forward_hooks, module._forward_pre_hooks)),
        torch.get_rng_state(),
        random.getstate(),
    ]


def are_same(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(a, Tensor) else a == b


@BOTH
@EACH
def test_healthy_has_no_error_and_is_left_as_it_was(row: Row, checks: tuple[str, ...]) -> None:
    case = built(row)
    before = bits(case)
    diagnosis = case.examined(checks)
    assert all(are_same(a, b) for a, b in zip(before, bits(case), strict=True))
    assert [(found.code, found.message) for found in diagnosis.all_findings if found.level == Level.ERROR] == []
    assert not diagnosis.with_status(Status.CRASHED)


@BOTH
@EACH
def test_planted_fault_is_found(row: Row, checks: tuple[str, ...]) -> None:
    case = built(row)
    row.plant(case)
    diagnosis = case.examined(checks)
    errors = [(found.code, found.message) for found in diagnosis.findings if found.level == Level.ERROR]
    assert (row.code, row.message) in errors
    assert not diagnosis.with_status(Status.CRASHED)
