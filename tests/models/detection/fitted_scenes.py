"""Small scenes, and R-CNN and SPPNet with a network small enough for many passes over them."""

import torch
from torch import nn
from torchvision.ops import box_iou

from snellen.metrics import DetectionMetric
from snellen.models.backbones import Backbone
from snellen.models.detection.fitted_head import FittedHead, FittingSettings
from snellen.models.detection.fitted_two_stage import FittedTwoStage, fitted_settings
from snellen.models.detection.rcnn import ImageItself, WarpedCrops
from snellen.models.detection.sppnet import ImagePyramid, PyramidPool
from snellen.nn import Normalize
from snellen.structures import Batch, BoxTarget, FeatureSpec, FitData, Sample

SIDE = 64
STRIPE = (torch.arange(SIDE) // 3 % 2 * 160 + 60).to(torch.uint8)  # grey levels along one axis
STRIPES = (STRIPE.expand(SIDE, SIDE), STRIPE[:, None].expand(SIDE, SIDE))  # upright, lying
FIT_STAGES = ("features", "svm", "box-regression")


class Tiny(Backbone):
    """Three convolutions."""

    def __init__(self):
        super().__init__()
        layers = []
        for before, after in ((3, 16), (16, 32), (32, 32)):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.features = (FeatureSpec(name="c3", channels=32, stride=8),)

    def forward(self, x):
        return {"c3": self.body(x)}

    def stage_modules(self):
        return {"c3": (self.body,)}


def target(boxes, labels, ignored=None):
    return BoxTarget(
        boxes=torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.as_tensor(labels, dtype=torch.long),
        valid=torch.ones(len(labels), dtype=torch.bool),
        ignored=torch.zeros(len(labels), dtype=torch.bool) if ignored is None else torch.as_tensor(ignored),
    )


def scene(row, seed=0, num_random=40):
    """Up to three striped rectangles that do not touch; regions are jittered truths and random boxes."""
    generator = torch.Generator().manual_seed(1000 * seed + row)

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    image = torch.randint(0, 90, (3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    boxes, labels = [], []
    for _ in range(1 + int(3 * rand(1))):
        width, height = (rand(2) * 16 + 12).tolist()
        x, y = float(rand(1)) * (SIDE - width), float(rand(1)) * (SIDE - height)
        box = [round(x), round(y), round(x + width), round(y + height)]
        if boxes and box_iou(torch.tensor([box]), torch.tensor(boxes)).max() > 0:
            continue
        labels.append(int(2 * rand(1)))
        rows, columns = slice(box[1], box[3]), slice(box[0], box[2])
        image[:, rows, columns] = STRIPES[labels[-1]][rows, columns]
        boxes.append(box)
    wanted = target(boxes, labels)
    sides = (wanted.boxes[:, 2:] - wanted.boxes[:, :2]).repeat(1, 2)
    near = wanted.boxes + torch.randn(8, len(boxes), 4, generator=generator) * 0.15 * sides
    centres, half = rand(num_random, 2) * SIDE, rand(num_random, 2) * 10 + 4
    regions = torch.cat([near.flatten(0, 1), torch.cat([centres - half, centres + half], dim=1)]).clamp(0, SIDE)
    regions = regions[(regions[:, 2:] - regions[:, :2]).amin(dim=1) > 3]
    regions = regions[torch.randperm(len(regions), generator=generator)]
    return Sample(image=image, target=wanted, index=row, source="", original_size=(SIDE, SIDE), regions=regions)


def collated(samples, size=4):
    return [Batch.collate(samples[start : start + size], stride=8) for start in range(0, len(samples), size)]


def rcnn(num_classes=2, **fitting):
    crops = WarpedCrops(Tiny(), feature="c3", size=32, context=2)
    deep = nn.Sequential(nn.Flatten(), nn.Linear(512, 64), nn.ReLU())
    head = FittedHead(deep, num_classes, deep_channels=64, pooled_channels=512, fitting=FittingSettings(**fitting))
    settings = fitted_settings(slots=24)
    return FittedTwoStage(ImageItself(), crops, head, normalize=Normalize(), stride=1, settings=settings, chunk=50)


def sppnet(num_classes=2, **fitting):
    maps = ImagePyramid(Tiny(), feature="c3")
    pool = PyramidPool(maps.feature, levels=(1, 2, 3))
    deep = nn.Sequential(nn.Linear(pool.out_features, 64), nn.ReLU())
    head = FittedHead(
        deep,
        num_classes,
        deep_channels=64,
        pooled_channels=pool.out_features,
        fitting=FittingSettings(**{"negatives_apart": 0.7, **fitting}),
    )
    settings = fitted_settings(slots=24, negative_from=0.1)
    return FittedTwoStage(
        maps, pool, head, normalize=Normalize(), stride=8, settings=settings, fixed_backbone=True, chunk=50
    )


BUILDERS = {"rcnn": rcnn, "sppnet": sppnet}


def built(name, num_classes=2, **fitting):
    torch.manual_seed(0)
    return BUILDERS[name](num_classes, **fitting)


def fit_data(batches, folder, progress=None):
    return FitData(
        batches=lambda: iter(batches),
        num_images=sum(len(batch) for batch in batches),
        folder=folder,
        device=torch.device("cpu"),
        seed=0,
        progress=progress or (lambda what, done, total: None),
    )


def fine_tune(model, batches, epochs):
    model.enter("fine-tune")
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    torch.manual_seed(0)
    model.train()
    for _ in range(epochs):
        for batch in batches:
            optimizer.zero_grad()
            model.loss(model(batch.images, batch.targets), batch.targets)["class"].backward()
            optimizer.step()


def fit(model, data):
    facts = {}
    for stage in FIT_STAGES:
        model.enter(stage)
        facts[stage] = model.fit_stage(stage, data)
    return facts


@torch.no_grad()
def decoded(model, batch):
    return model.decode(model.eval()(batch.images), batch.images.original_sizes)


def truths(batch):
    return [
        BoxTarget(**{key: getattr(each, key)[each.valid] for key in ("boxes", "labels", "valid", "ignored")})
        for each in (batch.targets[row] for row in range(len(batch)))
    ]


def average_precision(model, batches):
    metric = DetectionMetric(["upright", "lying"])
    for batch in batches:
        metric.update(decoded(model, batch), truths(batch), batch.indices.tolist())
    return metric.result().scalars


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for left, right in zip(found, wanted, strict=True):
        for key in ("boxes", "scores", "labels"):
            assert torch.equal(getattr(left, key), getattr(right, key)), key
