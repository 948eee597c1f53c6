"""SSD: torchvision's losses and detections at equal weights, the paper's loss by plain loops, odd images."""

import math
import re
from collections import OrderedDict
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.nn import functional
from torchvision.models.detection import ssd300_vgg16
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from snellen.models.detection.selection import MIN_SIDE_PX, SelectionSettings
from snellen.models.detection.ssd import (
    Ssd,
    SsdHead,
    SsdSettings,
    match_default_boxes,
    ssd300,
    ssd_mobilenet_v2,
)
from snellen.models.detection.ssd_maps import DefaultBoxTable, initialise_xavier
from snellen.models.weights import load_weights
from snellen.ops import encode_boxes
from snellen.structures import Batch, BoxTarget, FeatureSpec, ImageBatch

NUM_CLASSES = 3


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1)


def as_torchvision(batch):
    images, targets = [], []
    for row in range(len(batch)):
        height, width = batch.images.sizes[row].tolist()
        images.append(batch.images.pixels[row, :, :height, :width].to(batch.targets.boxes.dtype) / 255)
        valid = batch.targets.valid[row]
        targets.append({"boxes": batch.targets.boxes[row][valid], "labels": batch.targets.labels[row][valid] + 1})
    return images, targets


def our_names(state, model):
    rules = [(rule, name) for rule, name in Ssd.foreign_names]
    rules += [(rule.replace("^", r"^backbone\."), f"backbone.{name}") for rule, name in model.backbone.foreign_names]
    renamed = {}
    for key, value in state.items():
        name = next((re.sub(rule, name, key) for rule, name in rules if re.search(rule, key)), key)
        renamed[name] = value
    return renamed


def on_our_default_boxes(theirs, ours):
    """Let both use one table: its last bit decides which of two boxes that overlap an object equally is its best."""

    def forward(images, features):
        grids = tuple(tuple(value.shape[-2:]) for value in features)
        table = ours.head.default_boxes(grids, tuple(images.tensors.shape[-2:]), features[0])
        return [table] * len(images.image_sizes)

    theirs.anchor_generator.forward = forward


def sharpened(model):
    """Weights at which scores differ and some lie above the threshold."""
    with torch.no_grad():
        for name, layer in model.head.named_modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.mul_(0.2)
                if "regression" in name or "offsets" in name:
                    layer.weight.mul_(0.2)


@pytest.fixture(scope="module")
def built_vgg():
    torch.manual_seed(0)
    theirs = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=NUM_CLASSES + 1)
    theirs.transform.resize = lambda image, target: (image, target)  # the images come at their final size
    sharpened(theirs)
    ours = ssd300(NUM_CLASSES)
    ours.load_state_dict(our_names(theirs.state_dict(), ours))
    on_our_default_boxes(theirs, ours)
    theirs.transform.image_mean = (ours.normalize.offset / 255).flatten().tolist()  # as rounded by float32
    theirs.transform.image_std = (1 / ours.normalize.factor / 255).flatten().tolist()
    return ours, theirs


class Body(torch.nn.Module):
    """Our maps in the shape in which torchvision's SSD takes a backbone."""

    def __init__(self, model):
        super().__init__()
        self.backbone, self.neck = model.backbone, model.neck
        self.out_channels = [spec.channels for spec in model.neck.features]

    def forward(self, x):
        return OrderedDict(self.neck(self.backbone(x)))


def peer_of(model, side):
    """torchvision's SSD on our backbone, with the same default boxes and head."""
    table = model.head.boxes
    scales = [*(row[0] for row in table.scales), table.scales[-1][1]]
    peer = SSD(
        Body(model),
        DefaultBoxGenerator([list(row) for row in table.aspect_ratios], scales=scales, steps=None),
        (side, side),
        num_classes=model.head.num_classes + 1,
        image_mean=(model.normalize.offset / 255).flatten().tolist(),
        image_std=(1 / model.normalize.factor / 255).flatten().tolist(),
    )
    peer.transform.resize = lambda image, target: (image, target)
    on_our_default_boxes(peer, model)
    for ours, theirs in (("classes", "classification_head"), ("offsets", "regression_head")):
        getattr(peer.head, theirs).module_list = getattr(model.head, ours)
    return peer


@pytest.fixture(scope="module")
def built_mobilenet():
    torch.manual_seed(0)
    ours = ssd_mobilenet_v2(NUM_CLASSES, image_size=96)
    initialise_xavier(ours.head)  # it begins too quietly for its scores to differ
    sharpened(ours)
    for layer in ours.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():  # statistics that fit
        ours.backbone(torch.randn(4, 3, 96, 96))
    return ours, peer_of(ours, 96)


@pytest.fixture(
    params=[
        "mobilenet-float64",
        pytest.param("vgg", marks=pytest.mark.slow),
        pytest.param("vgg-float64", marks=pytest.mark.slow),
    ]
)
def pair(request, batch_of, in_float64):
    """Ours and theirs with one state dict, a batch, and how near they must be."""
    exact = request.param.endswith("float64")
    name = request.param.removesuffix("-float64")
    ours, theirs = (model.double() if exact else model.float() for model in request.getfixturevalue(f"built_{name}"))
    side = 300 if name == "vgg" else 96
    batch = batch_of((3, 4), sizes=[(side, side)] * 2, num_classes=NUM_CLASSES, stride=1)
    if exact:
        batch = Batch(images=batch.images, targets=in_float64(batch.targets), indices=batch.indices)
    yield ours, theirs, batch, 1e-6 if exact else 1e-4
    ours.zero_grad()
    theirs.zero_grad()


def test_losses_and_gradients_are_torchvisions(pair):
    """SYS-034, SYS-042: multi-box loss with hard negative mining, by torchvision's SSD."""
    ours, theirs, batch, near = pair
    ours.eval()  # batch norms may not move between the two, where there are any
    theirs.train()
    theirs.backbone.eval()
    expected = theirs(*as_torchvision(batch))
    sum(expected.values()).backward()
    gradients = our_names({name: value.grad for name, value in theirs.named_parameters()}, ours)
    shared = not set(gradients) >= {name for name, _ in ours.named_parameters()}
    kept = [value.grad.clone() for value in ours.parameters()] if shared else []
    ours.zero_grad()
    got = ours.loss(ours(batch.images), batch.targets)
    sum(got.values()).backward()
    torch.testing.assert_close(got["class"], expected["classification"], rtol=near, atol=0)
    torch.testing.assert_close(got["box"], expected["bbox_regression"], rtol=near, atol=0)
    for row, (name, value) in enumerate(ours.named_parameters()):
        other = kept[row] if shared else gradients[name]
        assert (value.grad - other).norm() <= 10 * near * other.norm() + 1e-12, name


@pytest.mark.parametrize("most_per_class", [400, 9])
def test_detections_are_torchvisions(pair, monkeypatch, most_per_class):
    ours, theirs, batch, near = pair
    monkeypatch.setattr(theirs, "topk_candidates", most_per_class)
    monkeypatch.setattr(ours.head, "settings", SsdSettings(most_per_class=most_per_class))
    ours.eval()
    theirs.eval()
    with torch.inference_mode():
        expected = theirs(as_torchvision(batch)[0])
        got = ours.decode(ours(batch.images), batch.images.sizes)
    for mine, other in zip(got, expected, strict=True):
        assert ((other["boxes"][:, 2:] - other["boxes"][:, :2]) >= MIN_SIDE_PX).all()
        assert len(other["scores"]) > 10
        assert other["scores"].std() > 0.02
        torch.testing.assert_close(mine.scores, other["scores"], rtol=near, atol=near)
        assert torch.equal(mine.labels + 1, other["labels"])
        torch.testing.assert_close(mine.boxes, other["boxes"], rtol=near, atol=100 * near)


def test_selection_is_torchvisions(built_vgg):
    ours, theirs = built_vgg
    assert ours.settings == SelectionSettings(
        score_above=theirs.score_thresh, nms_iou=theirs.nms_thresh, max_detections=theirs.detections_per_img
    )
    assert ours.head.settings.most_per_class == theirs.topk_candidates
    assert ours.head.settings.negative_ratio == theirs.neg_to_pos_ratio


def test_torchvisions_file_loads_whole(built_vgg, tmp_path):
    ours, theirs = built_vgg
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    report = load_weights(ours, tmp_path / "weights.pth")
    assert report.missing == report.unexpected == report.reshaped == ()
    assert report.model_share == 1


def test_default_boxes_are_torchvisions(built_vgg):
    """SYS-035: 8732 of them."""
    ours, theirs = (model.float() for model in built_vgg)
    grids = tuple((side, side) for side in (38, 19, 10, 5, 3, 1))
    got = ours.head.default_boxes(grids, (300, 300), torch.zeros(()))
    maps = [torch.zeros(1, 1, *grid) for grid in grids]
    published = type(theirs.anchor_generator).forward
    expected = published(theirs.anchor_generator, ImageList(torch.zeros(1, 3, 300, 300), [(300, 300)]), maps)[0]
    assert len(got) == 8732
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-4)
    assert ours.head.default_boxes(grids, (300, 300), torch.zeros(())) is got


def matched_by_loops(boxes, defaults):
    iou = box_iou(boxes, defaults)
    found = [-1] * len(defaults)
    for place in range(len(defaults)):
        row = int(iou[:, place].argmax())
        if iou[row, place] >= 0.5:
            found[place] = row
    for row in range(len(boxes)):
        found[int(iou[row].argmax())] = row
    return found


def tiny_head(num_classes=2, **settings):
    features = [FeatureSpec(name="c3", channels=4, stride=8), FeatureSpec(name="c4", channels=4, stride=16)]
    table = DefaultBoxTable(scales=((0.2, 0.4), (0.4, 0.8)), aspect_ratios=((2.0,), (2.0, 3.0)))
    head = SsdHead(features, num_classes, boxes=table, settings=SsdSettings(**settings))
    for layer in head.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.normal_(layer.weight, std=0.3)
    return head


def head_inputs(target_of, boxes, labels, ignored=None, side=48):
    images = ImageBatch(
        pixels=torch.zeros(1, 3, side, side, dtype=torch.uint8),
        sizes=torch.tensor([[side, side]]),
        original_sizes=torch.tensor([[side, side]]),
    )
    target = BoxTarget.stack([target_of(boxes, labels, ignored)], (side, side))
    maps = {name: torch.randn(1, 4, side // stride, side // stride) for name, stride in (("c3", 8), ("c4", 16))}
    return maps, images, target


@pytest.mark.parametrize("ratio", [3.0, 1.0, None])
def test_loss_is_the_papers_by_plain_loops(target_of, ratio):
    """SYS-034, SYS-042, eq. 1-3: every number worked out for itself; None takes all the background."""
    boxes, labels = torch.tensor([[4.0, 4, 18, 20], [20, 10, 44, 30], [41, 41, 42, 42]]), [1, 0, 1]
    head = tiny_head(negative_ratio=ratio)
    maps, images, target = head_inputs(target_of, boxes, labels)
    output = head(maps, images).map(torch.Tensor.detach)
    matched = matched_by_loops(boxes, output.default_boxes)
    assert set(matched) == {-1, 0, 1, 2}
    by_class = by_box = 0.0
    negatives = []
    for place, row in enumerate(matched):
        probs = output.class_logits[0, place].softmax(0)
        if row < 0:
            negatives.append(-math.log(float(probs[0])))
            continue
        by_class -= math.log(float(probs[labels[row] + 1]))
        goal = encode_boxes(boxes[row], output.default_boxes[place], weights=(10, 10, 5, 5))
        for distance in (output.offsets[0, place] - goal).abs().tolist():
            by_box += 0.5 * distance**2 if distance < 1 else distance - 0.5
    count = len(matched) - len(negatives)
    most = len(negatives) if ratio is None else int(ratio * count)
    by_class += sum(sorted(negatives, reverse=True)[:most])
    got = head.loss(output, target)
    assert float(got["class"]) == pytest.approx(by_class / count, rel=1e-4)
    assert float(got["box"]) == pytest.approx(by_box / count, rel=1e-4)


def test_matching_is_by_loops_in_a_batch():
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(3, 20, 2, generator=generator) * 60
    boxes = torch.cat([low, low + torch.rand(3, 20, 2, generator=generator) * 40 + 1], dim=2)
    low = torch.rand(200, 2, generator=generator) * 60
    defaults = torch.cat([low, low + torch.rand(200, 2, generator=generator) * 40 + 1], dim=1)
    count = (20, 7, 0)
    valid = torch.arange(20) < torch.tensor(count)[:, None]
    got = match_default_boxes(box_iou(boxes.view(-1, 4), defaults).view(3, 20, 200), valid, positive_from=0.5)
    for row, most in enumerate(count):
        expected = torch.tensor(matched_by_loops(boxes[row, :most], defaults) if most else [-1] * 200)
        assert torch.equal(got.positive[row], expected >= 0)
        assert torch.equal(got.negative[row], expected < 0)
        assert torch.equal(got.object_index[row][expected >= 0], expected[expected >= 0])


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return ssd_mobilenet_v2(NUM_CLASSES, image_size=96)


@pytest.fixture
def model(small):
    state = {key: value.clone() for key, value in small.state_dict().items()}
    yield small.train()
    small.load_state_dict(state)
    small.zero_grad()


def losses_of(model, batch):
    return model.loss(model(batch.images, batch.targets), batch.targets)


def with_targets(batch, targets):
    return Batch(images=batch.images, targets=BoxTarget.stack(targets, (96, 96)), indices=batch.indices)


ALL_SIZES = [0.06, 0.15, 0.33, 0.51, 0.69, 0.87, 1.0]  # as shares of the side: something for every map


def of_all_sizes(target_of, side):
    boxes = [[0.0, 0.0, share * side, share * side] for share in ALL_SIZES]
    return BoxTarget.stack([target_of(boxes, [row % NUM_CLASSES for row in range(len(boxes))])] * 2, (side, side))


def test_every_parameter_learns(model, batch_of, target_of):
    losses = losses_of(model, replace(batch_of(), targets=of_all_sizes(target_of, 96)))
    assert set(losses) == {"class", "box"}
    sum(losses.values()).backward()
    assert [n for n, v in model.named_parameters() if v.grad is None or not v.grad.abs().sum() > 0] == []


@pytest.mark.slow
def test_every_parameter_of_vgg_learns(batch_of, target_of):
    batch = batch_of((1, 1), sizes=[(300, 300)] * 2, stride=1)
    model = ssd300(NUM_CLASSES).train()
    sum(losses_of(model, replace(batch, targets=of_all_sizes(target_of, 300))).values()).backward()
    assert [n for n, v in model.named_parameters() if v.grad is None or not v.grad.abs().sum() > 0] == []


def random_boxes(count, side=96.0, least=4.0):
    low = torch.rand(count, 2) * (side - least)
    return torch.cat([low, torch.minimum(low + least + torch.rand(count, 2) * 20, torch.tensor(side))], dim=1)


ODD = {
    "none": lambda: ([], []),
    "fills the image": lambda: ([[0.0, 0, 96, 96]], [1]),
    "a thousand": lambda: (random_boxes(1000), torch.randint(0, NUM_CLASSES, (1000,))),
    "one pixel": lambda: ([[10.0, 10, 11, 11], [95, 95, 96, 96]], [0, 2]),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("ratio", [3.0, None])
def test_odd_objects(model, batch_of, target_of, kind, ratio):
    model.head.settings = SsdSettings(negative_ratio=ratio)
    try:
        losses = losses_of(model, with_targets(batch_of(), [target_of(*ODD[kind]()), target_of([], [])]))
    finally:
        model.head.settings = SsdSettings()
    assert all(loss.isfinite() for loss in losses.values())
    assert (losses["box"] > 0) == (kind != "none")
    assert (losses["class"] > 0) == (kind != "none" or ratio is None)
    sum(losses.values()).backward()
    assert all(value.grad.isfinite().all() for value in model.parameters())


@pytest.mark.parametrize("num_classes", [1, 500])
def test_few_and_many_classes(batch_of, num_classes):
    model = ssd_mobilenet_v2(num_classes, image_size=96)
    batch = batch_of(num_classes=num_classes)
    assert all(loss.isfinite() for loss in losses_of(model, batch).values())
    model.eval()
    model.settings = SelectionSettings(score_above=0.0, max_detections=5)
    found = model.decode(model(batch.images), batch.images.original_sizes)
    assert [len(one.scores) for one in found] == [5, 5]


def test_ignored_objects_are_neither_wanted_nor_punished(target_of):
    boxes = [[4, 4, 18, 20], [22, 10, 46, 40]]
    head = tiny_head(negative_ratio=None)
    maps, images, target = head_inputs(target_of, boxes, [1, 0], ignored=[False, True])
    _, _, alone = head_inputs(target_of, boxes[:1], [1])
    output = head(maps, images)
    output.class_logits.retain_grad()
    got = head.loss(output, target)
    torch.testing.assert_close(got["box"], head.loss(output, alone)["box"])
    got["class"].backward()
    inside = (output.default_boxes >= torch.tensor([22, 10, 22, 10])).all(1)
    inside &= (output.default_boxes <= torch.tensor([46, 40, 46, 40])).all(1)
    assert inside.any()
    assert output.class_logits.grad[0, inside].abs().sum() == 0
    assert (output.class_logits.grad[0].abs().sum(1) > 0).sum() > 50


@pytest.mark.parametrize("build", [ssd_mobilenet_v2, partial(ssd300, backbone="resnet18", image_size=96)])
def test_first_verdicts_are_quiet_whatever_the_features(batch_of, build):
    """Strong features may not make strong verdicts: the first loss would silence what they are made of."""
    torch.manual_seed(0)
    model = build(NUM_CLASSES, image_size=96) if build is ssd_mobilenet_v2 else build(NUM_CLASSES)
    output = model.train()(batch_of(stride=1).images)
    assert output.class_logits.abs().max() < 0.5
    assert output.offsets.abs().max() < 0.5


def test_two_images_share_one_sum(model, batch_of):
    """Both sums of the batch are divided by its positive boxes, not by each image's own."""
    model.eval()
    batch = batch_of((2, 5))
    both = losses_of(model, batch)
    total = dict.fromkeys(both, 0.0)
    counts = 0
    for row in range(2):
        part = slice(row, row + 1)
        images, targets = (record.map(lambda x, part=part: x[part]) for record in (batch.images, batch.targets))
        output = model(images)
        count = match_default_boxes(
            box_iou(targets.boxes[0], output.default_boxes)[None], targets.valid, positive_from=0.5
        ).positive.sum()
        counts += count
        for name, value in model.loss(output, targets).items():
            total[name] += value * count
    for name, value in both.items():
        torch.testing.assert_close(value, total[name] / counts, rtol=1e-4, atol=1e-5)


def test_half_precision(model, batch_of):
    batch = batch_of()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(batch.images)
    assert output.class_logits.dtype == torch.float32
    losses = model.loss(output, batch.targets)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    exact = losses_of(model, batch)
    for name, value in losses.items():
        torch.testing.assert_close(value, exact[name], rtol=0.1, atol=0.05)


def test_training_follows_inference(model, batch_of):
    """Default boxes made in inference mode must serve training too."""
    batch = batch_of()
    model.head._boxes_of.clear()
    with torch.inference_mode():
        model.decode(model(batch.images), batch.images.original_sizes)
    sum(losses_of(model, batch).values()).backward()
    assert functional.normalize(next(model.parameters()).grad.flatten(), dim=0).isfinite().all()
