"""Fast R-CNN (SYS-015, SYS-016) and Faster R-CNN on one map: proposals from outside or its own, samples, heads."""

from dataclasses import replace

import pytest
import torch
import torchvision

from snellen.errors import ConfigError, InputError
from snellen.models.backbones import BasicBlock, resnet_stage
from snellen.models.detection.fast_rcnn import (
    fast_rcnn,
    fast_rcnn_caffenet,
    fast_rcnn_mobilenet_v2,
    fast_rcnn_vgg16,
    truncated_svd,
)
from snellen.models.detection.faster_rcnn import (
    faster_rcnn_mobilenet_v2_c4,
    faster_rcnn_r18_fpn,
    faster_rcnn_vgg16,
    faster_rcnn_zf,
)
from snellen.models.detection.one_map import OneMap, mobilenet_v2_until
from snellen.models.detection.outside import OutsideProposals
from snellen.models.detection.regions import ConvHead, FcHead, SingleMapPool, StageHead
from snellen.models.detection.rpn import ProposalOutput, RegionProposalNetwork
from snellen.models.detection.selection import SelectionSettings
from snellen.models.detection.two_stage import RegionSettings
from snellen.models.weights import load_weights
from snellen.ops import box_iou
from snellen.structures import BoxTarget, FeatureSpec, ImageBatch, Regions

NUM_CLASSES = 3
# The wide fully connected layers cost seconds and memory and change nothing that is looked at here.
THIN = {"caffenet": fast_rcnn_caffenet, "vgg16": fast_rcnn_vgg16, "mobilenet_v2": fast_rcnn_mobilenet_v2}
FASTER = {"zf": faster_rcnn_zf, "vgg16": faster_rcnn_vgg16, "mobilenet_v2_c4": faster_rcnn_mobilenet_v2_c4}


@pytest.fixture(autouse=True)
def _seed(monkeypatch):
    torch.manual_seed(1)
    monkeypatch.setattr("snellen.models.detection.one_map._FC_WIDTH", 64)
    monkeypatch.setattr("snellen.models.detection.one_map._SMALL_WIDTH", 64)


def with_regions(batch, per_image=30, seed=0):
    """Proposals from outside: random ones and some near the objects."""
    generator = torch.Generator().manual_seed(seed)
    size = float(batch.images.pixels.shape[-1])
    boxes = []
    for row in range(len(batch)):
        low = torch.rand(per_image, 2, generator=generator) * size * 0.6
        random = torch.cat([low, (low + torch.rand(per_image, 2, generator=generator) * size * 0.4 + 2)], dim=1)
        objects = batch.targets.boxes[row][batch.targets.valid[row]].float()
        near = objects.repeat(3, 1) + torch.randn(len(objects) * 3, 4, generator=generator) * 2
        boxes.append(torch.cat([near, random]).clamp(0, size))
    return replace(batch, images=replace(batch.images, regions=Regions.stack(boxes)))


def losses_of(model, batch):
    return model.loss(model(batch.images, batch.targets), batch.targets)


def small(settings=None):
    torch.manual_seed(0)
    model = fast_rcnn_mobilenet_v2(NUM_CLASSES)
    if settings is not None:
        model.settings = settings
    return model


@pytest.mark.parametrize("name", THIN)
def test_losses_reach_every_parameter_and_the_first_stage_has_none(name, batch_of):
    torch.manual_seed(0)
    model = THIN[name](NUM_CLASSES).train()
    batch = with_regions(batch_of((3, 4)))
    losses = losses_of(model, batch)
    assert set(losses) == {"class", "box"}
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    silent = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("name", FASTER)
def test_faster_rcnn_on_one_map_learns_everywhere(name, batch_of):
    """SYS-022, ERR-111: four losses."""
    torch.manual_seed(0)
    model = FASTER[name](NUM_CLASSES).train()
    model.proposals.settings = replace(model.proposals.settings, slots=10_000, before_nms_train=200)
    losses = losses_of(model, batch_of((3, 4), sizes=[(192, 192), (160, 192)]))
    assert set(losses) == {"objectness", "proposal_box", "class", "box"}
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    silent = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("name", FASTER)
def test_nine_or_fifteen_anchors_at_stride_16(name):
    """SYS-024: three scales and three ratios at each place."""
    model = FASTER[name](NUM_CLASSES)
    anchors = model.proposals.base_0
    assert len(anchors) == (15 if name == "mobilenet_v2_c4" else 9)
    areas = ((anchors[:, 2] - anchors[:, 0]) * (anchors[:, 3] - anchors[:, 1])).sqrt()
    assert areas.max() == pytest.approx(256 if name == "mobilenet_v2_c4" else 512, rel=1e-2)
    assert model.stride == 16


def test_regions_must_come_with_the_images(batch_of):
    with pytest.raises(InputError, match=r"ImageBatch\.regions.*selective search"):
        small()(batch_of().images)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("num", [0, 1])
def test_no_proposals_at_all(batch_of, training, num):
    batch = batch_of((0, 0) if num == 0 else (1, 0))
    nothing = Regions(boxes=torch.zeros(2, 0, 4), valid=torch.zeros(2, 0, dtype=torch.bool))
    batch = replace(batch, images=replace(batch.images, regions=nothing))
    model = small().train(training)
    losses = losses_of(model, batch)
    assert all(loss.isfinite() for loss in losses.values())
    assert (losses["class"] > 0) == (training and num == 1)  # the object's own box is left
    sum(losses.values()).backward()
    with torch.inference_mode():
        assert [len(one.scores) for one in model.eval().decode(model(batch.images), batch.images.original_sizes)] == [
            0,
            0,
        ]


def test_the_best_regions_are_taken():
    boxes = torch.rand(2, 50, 4)
    images = ImageBatch(
        pixels=torch.zeros(2, 3, 32, 32, dtype=torch.uint8),
        sizes=torch.full((2, 2), 32),
        original_sizes=torch.full((2, 2), 32),
        regions=Regions(boxes=boxes, valid=torch.ones(2, 50, dtype=torch.bool)),
    )
    outside = OutsideProposals(most_train=20, most_test=7)
    for training, most in ((True, 20), (False, 7)):
        output, regions = outside.train(training)({}, images)
        assert output is None
        assert torch.equal(regions.boxes, boxes[:, :most])
    assert outside.loss(None, None) == {}


def test_background_overlaps_an_object_by_a_tenth_to_a_half(target_of):
    """ERR-112: those bands are Fast R-CNN's; below 0.1 a region is left out."""
    model = small().train()
    # Overlap with the object at (0, 0, 100, 100) is width / 100.
    widths = torch.tensor([0.0, 5, 9, 10, 30, 49, 50, 80, 100])
    boxes = torch.stack([0 * widths, 0 * widths, widths, 0 * widths + 100], dim=1)[None]
    target = target_of([[0, 0, 100, 100]], [2]).map(lambda tensor: tensor[None])
    regions = Regions(boxes=boxes, valid=torch.ones(1, len(widths), dtype=torch.bool))
    _, goal = model.label(regions, target)
    assert goal.labels[0].tolist() == [-1, -1, -1, 0, 0, 0, 3, 3, 3, 3]  # the last is the object's own box
    far = Regions(boxes=boxes[:, :3], valid=regions.valid[:, :3])
    _, goal = model.label(far, target)
    assert goal.labels[0].tolist() == [0, 0, 0, 3]  # nothing reaches the band: all of it
    _, goal = model.label(far, target.map(lambda tensor: tensor[:, :0]))
    assert goal.labels[0].tolist() == [0, 0, 0]


def test_a_quarter_of_64_regions_shows_objects_at_most(batch_of):
    model = small().train()
    batch = with_regions(batch_of((3, 5)), per_image=400)
    regions = batch.images.regions
    many = Regions(
        boxes=torch.cat([regions.boxes, batch.targets.boxes.repeat(1, 10, 1)], dim=1),
        valid=torch.cat([regions.valid, batch.targets.valid.repeat(1, 10)], dim=1),
    )
    got, goal = model.assign(many, batch.targets)
    assert goal.labels.shape == (2, 64)
    for row in range(2):
        wanted = batch.targets.boxes[row][batch.targets.valid[row]]
        overlap = box_iou(wanted, got.boxes[row]).amax(0)
        shows = goal.labels[row] > 0
        assert shows.sum() == 16
        assert (overlap[shows] >= 0.5).all()
        background = overlap[goal.labels[row] == 0]
        assert len(background) > 5
        assert ((background >= 0.1) & (background < 0.5)).all()
        label = batch.targets.labels[row][goal.objects[row][shows]] + 1
        assert torch.equal(goal.labels[row][shows], label)


def test_losses_are_those_of_a_plain_loop(batch_of):
    """SYS-021, SYS-146: Girshick 2015, eq. 1-3, region by region."""
    model = small().train()
    batch = with_regions(batch_of((2, 3)))
    output = model(batch.images, batch.targets)
    got = model.loss(output, batch.targets)
    by_class, by_box, count = 0.0, 0.0, 0
    for row in range(2):
        for number, label in enumerate(output.region_targets.labels[row].tolist()):
            if label < 0:
                continue
            count += 1
            by_class -= output.class_logits[row, number].log_softmax(0)[label].item()
            if label > 0:
                x, y, right, bottom = output.regions.boxes[row, number].tolist()
                left2, top2, right2, bottom2 = output.region_targets.boxes[row, number].tolist()
                width, height = right - x, bottom - y
                wanted = torch.tensor(
                    [
                        ((left2 + right2) / 2 - (x + right) / 2) / width / 0.1,
                        ((top2 + bottom2) / 2 - (y + bottom) / 2) / height / 0.1,
                        torch.tensor((right2 - left2) / width).log() / 0.2,
                        torch.tensor((bottom2 - top2) / height).log() / 0.2,
                    ]
                )
                distance = (output.box_offsets[row, number, label] - wanted).abs()
                by_box += torch.where(distance < 1, 0.5 * distance**2, distance - 0.5).sum().item()
    assert got["class"].item() == pytest.approx(by_class / count, rel=1e-4)
    assert got["box"].item() == pytest.approx(by_box / count, rel=1e-4)


def test_region_features_are_the_projected_maximum(batch_of):
    """SYS-016: image coordinates are divided by the stride; SYS-017: the maximum of each bin."""
    feature = FeatureSpec(name="c4", channels=5, stride=16)
    maps = {"c4": torch.rand(2, 5, 12, 12)}
    boxes = torch.tensor([[0.0, 0, 191, 191], [32, 16, 100, 150], [5, 5, 9, 9]])
    image = torch.tensor([0, 1, 1])
    rois = torch.cat([image[:, None].float(), boxes], dim=1)
    pool = SingleMapPool(feature, output_size=7)
    assert torch.equal(pool(maps, boxes, image), torchvision.ops.roi_pool(maps["c4"], rois, 7, 1 / 16))
    align = SingleMapPool(feature, output_size=7, pooling="roi_align")
    expected = torchvision.ops.roi_align(maps["c4"], rois, 7, 1 / 16, sampling_ratio=2)
    torch.testing.assert_close(align(maps, boxes, image), expected)
    precise = SingleMapPool(feature, output_size=7, pooling="prroi_pool")
    smooth = {"c4": torch.arange(12.0).expand(2, 5, 12, 12)}  # the integral of a plane is its value in the middle
    inner = boxes[1:2]
    middle = 2 + 68 / 16 * (torch.arange(7) + 0.5) / 7
    torch.testing.assert_close(precise(smooth, inner, image[1:2])[0, 0, 0], middle)


@pytest.mark.parametrize("head", ["fc", "conv", "stage"])
@pytest.mark.parametrize("pooling", ["roi_pool", "roi_align", "prroi_pool"])
def test_every_head_learns_on_every_pooling(head, pooling, batch_of):
    torch.manual_seed(0)
    parts = OneMap(backbone=mobilenet_v2_until(), pooled_size=7, width=32)
    model = fast_rcnn(parts, NUM_CLASSES).train()
    model.region_features = SingleMapPool(parts.feature, output_size=7, pooling=pooling)
    if head == "conv":
        model.region_head = ConvHead(96, NUM_CLASSES, width=32)
    elif head == "stage":
        stage = resnet_stage(BasicBlock, 96, 64, num_blocks=1, stride=2, norm=torch.nn.BatchNorm2d)
        model.region_head = StageHead(stage, 64, NUM_CLASSES)
    losses = losses_of(model, with_regions(batch_of((3, 4))))
    sum(losses.values()).backward()
    silent = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert silent == []


def test_two_images_at_once_are_as_one_by_one(batch_of):
    model = small(RegionSettings(selection=SelectionSettings(score_above=0.1))).double().eval()
    batch = with_regions(batch_of((2, 3)))
    with torch.inference_mode():
        together = model.decode(model(batch.images), batch.images.original_sizes)
        for row in range(2):
            images = batch.images.map(lambda tensor, row=row: tensor[row : row + 1])
            (alone,) = model.decode(model(images), images.original_sizes)
            assert len(alone.scores) > 0
            torch.testing.assert_close(together[row].boxes, alone.boxes)
            torch.testing.assert_close(together[row].scores, alone.scores)


@pytest.mark.parametrize("num_classes", [1, 500])
def test_unusual_objects(num_classes):
    """One that fills the image, some of a pixel, and 1000 in one image."""
    torch.manual_seed(0)
    model = fast_rcnn_mobilenet_v2(num_classes)
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(1000, 2, generator=generator) * 90
    boxes = torch.cat([low, low + 1], dim=1)
    boxes[0] = torch.tensor([0, 0, 96, 96])
    target = BoxTarget(
        boxes=boxes[None],
        labels=torch.randint(0, num_classes, (1, 1000), generator=generator),
        valid=torch.ones(1, 1000, dtype=torch.bool),
        ignored=torch.zeros(1, 1000, dtype=torch.bool),
    )
    images = ImageBatch(
        pixels=torch.randint(0, 256, (1, 3, 96, 96), dtype=torch.uint8, generator=generator),
        sizes=torch.full((1, 2), 96),
        original_sizes=torch.full((1, 2), 96),
        regions=Regions(boxes=boxes[None, ::3], valid=torch.ones(1, 334, dtype=torch.bool)),
    )
    model.train()
    losses = model.loss(model(images, target), target)
    assert all(loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert all(value.grad.isfinite().all() for value in model.parameters())
    model.eval()
    with torch.inference_mode():
        (found,) = model.decode(model(images), images.original_sizes)
    assert found.boxes.isfinite().all()


def test_bfloat16(batch_of):
    model = small().train()
    batch = with_regions(batch_of())
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.loss(model(batch.images, batch.targets), batch.targets)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())


def test_anchors_across_the_edge_teach_nothing(target_of):
    """Ren et al. 2015, section 3.1.3; an image that holds no anchor uses those that it has."""
    feature = FeatureSpec(name="c4", channels=4, stride=16)
    network = RegionProposalNetwork([feature], sizes=[(32,)], settings=faster_rcnn_zf(1).proposals.settings)
    anchors = torch.tensor([[0.0, 0, 32, 32], [-8, 0, 24, 32], [40, 40, 72, 72], [20, 20, 52, 52]])
    target = target_of([[-6, 0, 26, 32]], [0]).map(lambda tensor: tensor.expand(2, *tensor.shape))
    objectness = torch.zeros(2, 4, requires_grad=True)
    output = ProposalOutput(
        anchors=anchors, objectness=objectness, offsets=torch.zeros(2, 4, 4), sizes=torch.tensor([[64, 64], [16, 16]])
    )
    network.loss(output, target)["objectness"].backward()
    # In the first image the second and third cross the edge, and the first is the best of the rest.
    assert objectness.grad.sign().tolist() == [[-1, 0, 0, 1], [0, -1, 1, 1]]


def test_thin_layers_of_full_rank_say_the_same_and_of_low_rank_nearly(batch_of):
    """Girshick 2015, section 3.1."""
    model = small().double().eval()
    with torch.no_grad():  # a spectrum that falls off, as that of trained weights does
        for layer in (model.region_head.fc.fc6, model.region_head.fc.fc7):
            left, values, right = torch.linalg.svd(layer.weight, full_matrices=False)
            layer.weight.copy_(left * (values.max() * 0.7 ** torch.arange(len(values))) @ right)
    batch = with_regions(batch_of())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    same = truncated_svd(model, rank_fc6=64, rank_fc7=64)
    thin = truncated_svd(model, rank_fc6=24, rank_fc7=20)
    with torch.inference_mode():
        wanted = model(batch.images).class_logits
        torch.testing.assert_close(same(batch.images).class_logits, wanted)
        difference = (thin(batch.images).class_logits - wanted).abs().max()
    assert 0 < difference < 0.05 * wanted.std()
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    weights = sum(value.numel() for key, value in thin.named_parameters() if "fc6" in key)
    assert weights == 24 * (96 * 49 + 64) + 64
    with pytest.raises(ConfigError, match=r"1\.\.64"):
        truncated_svd(model, rank_fc6=65, rank_fc7=1)
    with pytest.raises(InputError, match="Pass the original"):
        truncated_svd(thin, rank_fc6=1, rank_fc7=1)
    with pytest.raises(InputError, match="Choose a Fast R-CNN"):
        truncated_svd(faster_rcnn_r18_fpn(2), rank_fc6=1, rank_fc7=1)


@pytest.mark.slow  # its full connections have 500 MB
def test_torchvisions_vgg16_fills_the_convolutions_and_the_full_connections(tmp_path, monkeypatch):
    monkeypatch.undo()
    theirs = torchvision.models.vgg16(weights=None, num_classes=10)
    torch.save(theirs.state_dict(), tmp_path / "vgg16.pth")
    model = fast_rcnn_vgg16(NUM_CLASSES)
    report = load_weights(model, tmp_path / "vgg16.pth")
    assert isinstance(model.region_head, FcHead)
    assert all(key.startswith(("region_head.predictor.", "normalize")) for key in report.missing)
    assert set(report.unexpected) == {"classifier.6.weight", "classifier.6.bias"}
    pooled = torch.rand(2, 512, 7, 7)
    with torch.no_grad():
        expected = theirs.eval().classifier[:6](pooled.flatten(1))
        torch.testing.assert_close(model.eval().region_head.fc(pooled), expected)


def test_mobilenet_ends_at_stride_16(tmp_path):
    theirs = torchvision.models.mobilenet_v2(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "mobile.pth")
    model = fast_rcnn_mobilenet_v2(NUM_CLASSES).eval()
    report = load_weights(model, tmp_path / "mobile.pth")
    assert not [key for key in report.missing if key.startswith("backbone.")]
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.backbone(pixels)["c4"], theirs.features[:14](pixels))
    assert [spec.name for spec in model.backbone.features] == ["c1", "c2", "c3", "c4"]


def test_class_loss_may_fade(batch_of):
    model = small().train()
    batch = with_regions(batch_of())
    output = model(batch.images, batch.targets)
    plain = model.loss(output, batch.targets)["class"]
    model.settings = replace(model.settings, class_loss="focal")
    labels = output.region_targets.labels.flatten()
    logits = output.class_logits.flatten(0, 1)[labels >= 0]
    prob = logits.softmax(1).gather(1, labels[labels >= 0][:, None])[:, 0]
    faded = model.loss(output, batch.targets)["class"]
    torch.testing.assert_close(faded, (-((1 - prob) ** 2) * prob.log()).mean())
    assert faded < plain


@pytest.mark.parametrize("kind", ["balanced_l1", "iou", "giou", "diou", "ciou"])
def test_box_losses_fall_with_the_distance(kind, batch_of):
    model = small().train()
    model.settings = replace(model.settings, box_loss=kind, box_weight=2.0)
    batch = with_regions(batch_of((3, 0)))
    output = model(batch.images, batch.targets)
    wild = model.loss(output, batch.targets)["box"]
    perfect = replace(
        output,
        regions=replace(output.regions, boxes=output.region_targets.boxes),
        box_offsets=torch.zeros_like(output.box_offsets),
    )
    assert model.loss(perfect, batch.targets)["box"] == pytest.approx(0, abs=1e-5)
    assert wild > 0
    wild.backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in model.parameters())
    if kind == "giou":
        goal = output.region_targets
        shows = goal.labels > 0
        offsets = output.box_offsets.detach()[shows, goal.labels[shows]] / torch.tensor([10.0, 10, 5, 5])
        regions = output.regions.boxes[shows]
        size = regions[:, 2:] - regions[:, :2]
        center = (regions[:, 2:] + regions[:, :2]) / 2 + offsets[:, :2] * size
        half = offsets[:, 2:].exp() * size / 2
        boxes = torch.cat([center - half, center + half], dim=1)
        expected = torchvision.ops.generalized_box_iou_loss(boxes, goal.boxes[shows], reduction="sum")
        torch.testing.assert_close(wild.detach(), 2 * expected / (goal.labels >= 0).sum())


@pytest.mark.parametrize("pooling", ["roi_pool", "roi_align", "prroi_pool"])
@pytest.mark.parametrize(("feature", "stride"), [("c3", 8), ("c4", 16), ("c5", 32)])
def test_the_map_and_the_pooling_can_be_chosen(feature, stride, pooling):
    """NUM-082: the stride decides how much RoIPool's rounding costs."""
    model = fast_rcnn_mobilenet_v2(3, feature=feature, pooling=pooling)
    assert model.stride == model.region_features.feature.stride == stride
    assert model.region_features.pooling == pooling


def test_a_map_that_is_not_there():
    with pytest.raises(ConfigError, match="lacks c9"):
        fast_rcnn_mobilenet_v2(3, feature="c9")
