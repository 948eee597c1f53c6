"""RetinaNet: torchvision's losses and detections at equal weights, the paper's loss by plain loops, odd images."""

import math
import re
from dataclasses import replace

import pytest
import torch
from torch.nn import functional
from torchvision.models.detection import retinanet_resnet50_fpn
from torchvision.ops import box_iou, nms

from snellen.errors import ConfigError
from snellen.models.detection.retinanet import (
    RetinaHead,
    RetinaNet,
    RetinaSettings,
    retinanet_mobilenet_v2_fpn,
    retinanet_r18_fpn,
    retinanet_r50_fpn,
)
from snellen.models.detection.selection import MIN_SIDE_PX, SelectionSettings
from snellen.models.weights import load_weights
from snellen.ops import encode_boxes
from snellen.structures import Batch, BoxTarget, FeatureSpec, ImageBatch

NUM_CLASSES = 3


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1)


def as_torchvision(batch, dtype=torch.float64):
    images, targets = [], []
    for row in range(len(batch)):
        height, width = batch.images.sizes[row].tolist()
        images.append(batch.images.pixels[row, :, :height, :width].to(dtype) / 255)
        valid = batch.targets.valid[row]
        targets.append({"boxes": batch.targets.boxes[row][valid], "labels": batch.targets.labels[row][valid]})
    return images, targets


def our_names(state):
    renamed = {}
    for key, value in state.items():
        name = key
        for pattern, replacement in RetinaNet.foreign_names:
            name, count = re.subn(pattern, replacement, name)
            if count and not name.startswith("backbone.fpn"):
                break
        renamed[name] = value
    return renamed


@pytest.fixture(scope="module")
def built_pair():
    """Ours and theirs with one state dict, in float64: rounding would change which boxes are suppressed."""
    torch.manual_seed(0)
    # torchvision asks one question more than there are classes if it is told of a background.
    theirs = retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=NUM_CLASSES, min_size=1, max_size=10_000
    )
    theirs.transform.resize = lambda image, target: (image, target)  # the images come at their final size
    with torch.no_grad():  # weights at which scores differ and some lie above the threshold
        for name, layer in theirs.head.named_modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight)
                if "cls_logits" in name or "bbox_reg" in name:
                    layer.weight.mul_(0.3)
        theirs.head.classification_head.cls_logits.bias.fill_(-3.0)
    for layer in theirs.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    ours = retinanet_r50_fpn(NUM_CLASSES)
    theirs.double()
    ours.double()
    theirs.transform.image_mean = (ours.normalize.offset / 255).flatten().tolist()  # as rounded by float32
    theirs.transform.image_std = (1 / ours.normalize.factor / 255).flatten().tolist()
    return ours, theirs


@pytest.fixture
def pair(built_pair, batch_of, in_float64):
    ours, theirs = built_pair
    batch = batch_of((3, 4), sizes=[(128, 192), (112, 160)], num_classes=NUM_CLASSES)
    batch = Batch(images=batch.images, targets=in_float64(batch.targets), indices=batch.indices)
    theirs.train()
    with torch.no_grad():
        theirs(*as_torchvision(batch))  # statistics that fit
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    ours.load_state_dict(our_names(state))
    yield ours, theirs, batch
    theirs.load_state_dict(state)
    for model in (ours, theirs):
        model.zero_grad()


def test_losses_and_gradients_are_torchvisions(pair):
    """SYS-038, SYS-148: focal loss and box loss of ``retinanet_resnet50_fpn``."""
    ours, theirs, batch = pair
    ours.train()
    theirs.train()
    expected = theirs(*as_torchvision(batch))
    got = ours.loss(ours(batch.images), batch.targets)
    torch.testing.assert_close(got["class"], expected["classification"], rtol=1e-9, atol=0)
    torch.testing.assert_close(got["box"], expected["bbox_regression"], rtol=1e-9, atol=0)
    sum(expected.values()).backward()
    sum(got.values()).backward()
    gradients = our_names({name: value.grad for name, value in theirs.named_parameters()})
    for name, value in ours.named_parameters():
        assert (value.grad - gradients[name]).norm() <= 1e-7 * gradients[name].norm() + 1e-12, name


@pytest.mark.parametrize("most_per_level", [1000, 7])
def test_detections_are_torchvisions(pair, monkeypatch, most_per_level):
    ours, theirs, batch = pair
    # The second image is smaller than the canvas: in its padding torchvision finds boxes without area.
    monkeypatch.setattr(theirs, "detections_per_img", 10_000)
    monkeypatch.setattr(theirs, "topk_candidates", most_per_level)
    monkeypatch.setattr(ours, "settings", replace(ours.settings, max_detections=10_000))
    monkeypatch.setattr(ours.head, "settings", RetinaSettings(most_per_level=most_per_level))
    ours.eval()
    theirs.eval()
    with torch.inference_mode():
        expected = theirs(as_torchvision(batch)[0])
        got = ours.decode(ours(batch.images), batch.images.sizes)
    for mine, other in zip(got, expected, strict=True):
        thick = ((other["boxes"][:, 2:] - other["boxes"][:, :2]) >= MIN_SIDE_PX).all(dim=1)
        scores, labels, boxes = (other[name][thick] for name in ("scores", "labels", "boxes"))
        assert len(scores) > min(most_per_level / 2, 100)
        assert scores.std() > 0.02
        torch.testing.assert_close(mine.scores, scores, rtol=1e-9, atol=1e-9)
        assert torch.equal(mine.labels, labels)
        torch.testing.assert_close(mine.boxes, boxes, rtol=1e-9, atol=1e-6)


def test_most_detections_are_torchvisions(pair):
    ours, theirs, _ = pair
    assert ours.settings.max_detections == theirs.detections_per_img
    assert ours.settings.nms_iou == theirs.nms_thresh
    assert ours.settings.score_above == theirs.score_thresh


@pytest.mark.parametrize("published", [True, False])
def test_torchvisions_files_load_whole(built_pair, tmp_path, published):
    """The published file numbers the subnets' layers otherwise than torchvision's code of today."""
    ours, theirs = built_pair
    state = theirs.state_dict()
    if published:
        state = {
            re.sub(r"(_head\.conv)\.(\d)\.0\.", lambda m: f"{m[1]}.{2 * int(m[2])}.", key): value
            for key, value in state.items()
        }
    torch.save(state, tmp_path / "weights.pth")
    report = load_weights(ours, tmp_path / "weights.pth")
    assert report.missing == report.unexpected == report.reshaped == ()
    assert report.model_share == 1


def tiny_head(settings=None, num_classes=2):
    head = RetinaHead([FeatureSpec(name="p3", channels=4, stride=8)], num_classes, sizes=[(12, 16)], settings=settings)
    for layer in head.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.normal_(layer.weight, std=0.3)
    return head


def head_inputs(target_of, boxes, labels, ignored=None, num=1, side=48):
    images = ImageBatch(
        pixels=torch.zeros(num, 3, side, side, dtype=torch.uint8),
        sizes=torch.full((num, 2), side),
        original_sizes=torch.full((num, 2), side),
    )
    target = BoxTarget.stack([target_of(boxes, labels, ignored)] * num, (side, side))
    return {"p3": torch.randn(num, 4, side // 8, side // 8)}, images, target


def assigned_by_loops(anchors, boxes):
    """Section 4, "Anchors": 0.5 and up an object, below 0.4 background; the best of each object is one anyway."""
    iou = box_iou(boxes, anchors)
    found = []
    for place in range(len(anchors)):
        column = iou[:, place]
        best = int(column.argmax())
        if column[best] >= 0.5 or any(
            iou[row, place] == iou[row].max() and iou[row, place] > 0 for row in range(len(boxes))
        ):
            found.append(best)
        else:
            found.append("background" if column[best] < 0.4 else "neither")
    return found


def test_loss_is_the_papers_by_plain_loops(target_of):
    """SYS-038, eq. 5: every number worked out for itself."""
    boxes, labels = torch.tensor([[4.0, 4, 18, 20], [20, 10, 44, 30], [30, 30, 36, 47]]), [1, 0, 1]
    head = tiny_head()
    features, images, target = head_inputs(target_of, boxes, labels)
    output = head(features, images).map(torch.Tensor.detach)
    got = head.loss(output, target)
    assigned = assigned_by_loops(output.anchors, boxes)
    objects = [place for place, kind in enumerate(assigned) if isinstance(kind, int)]
    assert {"background", "neither"} <= {kind for kind in assigned if isinstance(kind, str)}
    by_class = by_box = 0.0
    for place, kind in enumerate(assigned):
        for label in range(2) if kind != "neither" else ():
            prob = 1 / (1 + math.exp(-float(output.class_logits[0, place, label])))
            if isinstance(kind, int) and labels[kind] == label:
                by_class -= 0.25 * (1 - prob) ** 2 * math.log(prob)
            else:
                by_class -= 0.75 * prob**2 * math.log(1 - prob)
    for place in objects:
        goal = encode_boxes(boxes[assigned[place]], output.anchors[place])
        by_box += float((output.offsets[0, place] - goal).abs().sum())
    assert float(got["class"]) == pytest.approx(by_class / len(objects), rel=1e-4)
    assert float(got["box"]) == pytest.approx(by_box / len(objects), rel=1e-4)


def cross_entropies(output, assigned, labels):
    rows = []
    for place, kind in enumerate(assigned):
        targets = torch.zeros(output.class_logits.shape[2])
        if isinstance(kind, int):
            targets[labels[kind]] = 1
        loss = functional.binary_cross_entropy_with_logits(output.class_logits[0, place], targets, reduction="sum")
        rows.append(-math.inf if kind == "neither" else float(loss))
    return torch.tensor(rows)


@pytest.mark.parametrize("ratio", [None, 3.0])
def test_online_mining_keeps_the_hardest(target_of, ratio):
    """Table 1d: loss as score, suppression, then a fixed number or three negatives for each positive."""
    boxes, labels = torch.tensor([[4.0, 4, 18, 20], [20, 10, 44, 30]]), [1, 0]
    head = tiny_head(RetinaSettings(classification="ohem", ohem_slots=9, negative_ratio=ratio))
    features, images, target = head_inputs(target_of, boxes, labels)
    output = head(features, images).map(torch.Tensor.detach)
    assigned = assigned_by_loops(output.anchors, boxes)
    losses = cross_entropies(output, assigned, labels)
    kept = [place for place in nms(output.anchors, losses, 0.5).tolist() if losses[place] > -math.inf]
    objects = [place for place, kind in enumerate(assigned) if isinstance(kind, int)]
    if ratio is None:
        chosen = kept[:9]
    else:
        chosen = objects + [place for place in kept if place not in objects][: 3 * len(objects)]
    expected = float(losses[chosen].mean())
    assert float(head.loss(output, target)["class"]) == pytest.approx(expected, rel=1e-4)


def test_alpha_ce_is_the_focal_loss_without_fading(target_of):
    features, images, target = head_inputs(target_of, [[4, 4, 18, 20]], [1])
    head = tiny_head(RetinaSettings(classification="alpha_ce", alpha=0.75))
    output = head(features, images)
    plain = head.loss(output, target)["class"]
    head.settings = RetinaSettings(alpha=0.75, gamma=0.0)
    assert torch.equal(head.loss(output, target)["class"], plain)
    head.settings = RetinaSettings(alpha=0.75)
    assert head.loss(output, target)["class"] < plain


@pytest.fixture(scope="module", params=["r18", "mobilenet_v2"])
def small(request):
    torch.manual_seed(0)
    build = {"r18": retinanet_r18_fpn, "mobilenet_v2": retinanet_mobilenet_v2_fpn}[request.param]
    return build(NUM_CLASSES)


@pytest.fixture
def model(small):
    state = {key: value.clone() for key, value in small.state_dict().items()}
    yield small.train()
    small.float().load_state_dict(state)
    small.zero_grad()


def losses_of(model, batch):
    return model.loss(model(batch.images, batch.targets), batch.targets)


def with_targets(batch, targets):
    return Batch(images=batch.images, targets=BoxTarget.stack(targets, (96, 96)), indices=batch.indices)


def test_every_parameter_learns(model, batch_of):
    losses = losses_of(model, batch_of())
    assert set(losses) == {"class", "box"}
    sum(losses.values()).backward()
    assert [n for n, v in model.named_parameters() if v.grad is None or not v.grad.abs().sum() > 0] == []


def test_a_fresh_network_states_the_prior(model, batch_of):
    """Section 4.1: every question is answered with 0.01 at the start."""
    output = model(batch_of().images)
    assert output.class_logits.detach().sigmoid().mean() == pytest.approx(0.01, rel=0.1)
    assert sum(output.per_level) == len(output.anchors) == output.class_logits.shape[1]


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
@pytest.mark.parametrize("classification", ["focal", "alpha_ce", "ohem"])
def test_odd_objects(model, batch_of, target_of, kind, classification):
    model.head.settings = RetinaSettings(classification=classification)
    try:
        losses = losses_of(model, with_targets(batch_of(), [target_of(*ODD[kind]()), target_of([], [])]))
    finally:
        model.head.settings = RetinaSettings()
    assert all(loss.isfinite() for loss in losses.values())
    assert losses["class"] > 0
    assert (losses["box"] > 0) == (kind != "none")
    sum(losses.values()).backward()
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.grad is not None)


@pytest.mark.parametrize("num_classes", [1, 500])
def test_few_and_many_classes(batch_of, num_classes):
    model = retinanet_r18_fpn(num_classes)
    batch = batch_of(num_classes=num_classes)
    assert all(loss.isfinite() for loss in losses_of(model, batch).values())
    model.eval()
    model.settings = SelectionSettings(score_above=0.0, max_detections=5)
    found = model.decode(model(batch.images), batch.images.original_sizes)
    assert [len(one.scores) for one in found] == [5, 5]


def test_ignored_objects_are_neither_wanted_nor_punished(target_of):
    boxes = [[4, 4, 18, 20], [22, 10, 46, 40]]
    head = tiny_head()
    features, images, target = head_inputs(target_of, boxes, [1, 0], ignored=[False, True])
    _, _, alone = head_inputs(target_of, boxes[:1], [1])
    output = head(features, images)
    output.class_logits.retain_grad()
    got = head.loss(output, target)
    torch.testing.assert_close(got["box"], head.loss(output, alone)["box"])
    got["class"].backward()
    inside = (output.anchors >= torch.tensor([22, 10, 22, 10])).all(1)
    inside &= (output.anchors <= torch.tensor([46, 40, 46, 40])).all(1)
    assert inside.any()
    assert output.class_logits.grad[0, inside].abs().sum() == 0
    assert output.class_logits.grad[0].abs().sum() > 0


def test_two_images_are_one_and_one(model, batch_of):
    model.eval()
    batch = batch_of((2, 5))
    both = losses_of(model, batch)
    single = []
    for row in range(2):
        part = slice(row, row + 1)
        one = Batch(
            images=batch.images.map(lambda tensor, part=part: tensor[part]),
            targets=batch.targets.map(lambda tensor, part=part: tensor[part]),
            indices=batch.indices[part],
        )
        single.append(losses_of(model, one))
    for name, value in both.items():
        torch.testing.assert_close(value, (single[0][name] + single[1][name]) / 2, rtol=1e-4, atol=1e-5)


def test_half_precision(model, batch_of):
    batch = batch_of()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(batch.images)
    losses = model.loss(output, batch.targets)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    exact = losses_of(model, batch)
    for name, value in losses.items():
        torch.testing.assert_close(value, exact[name], rtol=0.05, atol=0.02)


def test_levels_of_one_depth_are_asked_for():
    features = [FeatureSpec(name="p3", channels=4, stride=8), FeatureSpec(name="p4", channels=8, stride=16)]
    with pytest.raises(ConfigError, match="one depth"):
        RetinaHead(features, 2, sizes=[(8,), (16,)])
