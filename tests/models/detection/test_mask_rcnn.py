"""Mask R-CNN (SYS-054): torchvision's losses and masks, and what it does with unusual images."""

import math
import re
from dataclasses import replace

import pytest
import torch
from torchvision.models import resnet18
from torchvision.models.detection import MaskRCNN as TheirMaskRCNN
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from snellen.errors import InputError
from snellen.models.detection.mask_rcnn import (
    MaskOutput,
    MaskRCNN,
    mask_rcnn_mobilenet_v2_fpn,
    mask_rcnn_r18_fpn,
    mask_rcnn_r50_fpn,
)
from snellen.models.detection.rpn import ProposalSettings
from snellen.models.detection.selection import SelectionSettings
from snellen.models.detection.two_stage import RegionSettings
from snellen.models.weights import load_weights
from snellen.structures import Batch, BoxTarget, Sample

NUM_CLASSES = 3
SLOTS = 64
FEW = 100  # proposals
BUILDERS = {"r18": mask_rcnn_r18_fpn, "mobilenet": mask_rcnn_mobilenet_v2_fpn}


def outlined_batch(counts=(3, 4), sizes=((96, 128), (80, 100)), *, num_classes=NUM_CLASSES, seed=0, scale=1):
    """Images of noise with ellipses for objects."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for row, (count, (height, width)) in enumerate(zip(counts, sizes, strict=True)):
        edges = torch.tensor([float(width), float(height)])
        low = torch.rand(count, 2, generator=generator) * edges * 0.5
        high = torch.minimum(low + torch.rand(count, 2, generator=generator) * edges * 0.5 + 14, edges)
        center, half = (low + high) / 2, (high - low) / 2
        place = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy"), dim=-1) + 0.5
        inside = (((place - center[:, None, None]) / half[:, None, None]) ** 2).sum(-1) <= 1
        samples.append(
            Sample(
                image=torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator),
                target=BoxTarget(
                    boxes=torch.cat([low, high], dim=1).double(),
                    labels=torch.randint(0, num_classes, (count,), generator=generator),
                    valid=torch.ones(count, dtype=torch.bool),
                    ignored=torch.zeros(count, dtype=torch.bool),
                    masks=inside.to(torch.uint8).reshape(count, height, width),
                ),
                index=row,
                source="",
                original_size=(height * scale, width * scale),
            )
        )
    return Batch.collate(samples, stride=32)


def first_ones(shape, device=None):
    """Draw the candidates with the lowest index first."""
    return (torch.arange(shape[-1], 0, -1, device=device) / (shape[-1] + 1)).expand(shape)


def first_sampled(self, matched_idxs):
    positives, negatives = [], []
    for matched in matched_idxs:
        positive = torch.where(matched >= 1)[0][: int(self.batch_size_per_image * self.positive_fraction)]
        negative = torch.where(matched == 0)[0][: self.batch_size_per_image - len(positive)]
        for rows, out in ((positive, positives), (negative, negatives)):
            out.append(torch.zeros_like(matched, dtype=torch.uint8).index_fill(0, rows, 1))
    return positives, negatives


def their_r18():
    net = resnet18(weights=None)
    body = BackboneWithFPN(net, {"layer1": "0", "layer2": "1", "layer3": "2", "layer4": "3"}, [64, 128, 256, 512], 128)
    return TheirMaskRCNN(
        body,
        min_size=1,
        max_size=10_000,
        rpn_anchor_generator=AnchorGenerator(((16,), (32,), (64,), (128,), (256,)), ((0.5, 1.0, 2.0),) * 5),
        box_head=TwoMLPHead(128 * 49, 512),
        box_predictor=FastRCNNPredictor(512, NUM_CLASSES + 1),
        mask_head=MaskRCNNHeads(128, (128,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(128, 128, NUM_CLASSES + 1),
        box_batch_size_per_image=SLOTS,
        rpn_post_nms_top_n_train=FEW,
        rpn_post_nms_top_n_test=FEW,
    )


def their_r50():
    return maskrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=NUM_CLASSES + 1,
        min_size=1,
        max_size=10_000,
        box_batch_size_per_image=SLOTS,
        rpn_post_nms_top_n_train=FEW,
        rpn_post_nms_top_n_test=FEW,
    )


def our_names(state):
    renamed = {}
    for key, value in state.items():
        name = key
        for pattern, replacement in MaskRCNN.foreign_names:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    return renamed


def as_torchvision(batch):
    images, targets = [], []
    for row in range(len(batch)):
        height, width = batch.images.sizes[row].tolist()
        images.append(batch.images.pixels[row, :, :height, :width].double() / 255)
        valid = batch.targets.valid[row]
        targets.append(
            {
                "boxes": batch.targets.boxes[row][valid],
                "labels": batch.targets.labels[row][valid] + 1,
                "masks": batch.targets.masks[row][valid][:, :height, :width],
            }
        )
    return images, targets


@pytest.fixture(scope="module", params=["r18", pytest.param("r50", marks=pytest.mark.slow)])
def pair(request):
    """Ours and theirs with one state dict, in float64; see ``test_torchvision_parity``."""
    torch.manual_seed(0)
    theirs = {"r18": their_r18, "r50": their_r50}[request.param]()
    ours = {"r18": mask_rcnn_r18_fpn, "r50": mask_rcnn_r50_fpn}[request.param](NUM_CLASSES)
    ours.settings = replace(ours.settings, slots=SLOTS)
    ours.proposals.settings = ProposalSettings(after_nms_train=FEW, after_nms_test=FEW)
    theirs.transform.resize = lambda image, target: (image, target)  # the images come at their final size
    with torch.no_grad():
        for layer in theirs.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0
        theirs.double()(*as_torchvision(outlined_batch()))
        theirs.roi_heads.box_predictor.cls_score.weight.mul_(10)
        theirs.rpn.get_submodule("head.cls_logits").weight.mul_(5)
        theirs.roi_heads.mask_predictor.mask_fcn_logits.weight.mul_(5)
    ours.double().load_state_dict(our_names(theirs.state_dict()))
    theirs.transform.image_mean = (ours.normalize.offset / 255).flatten().tolist()  # as rounded by float32
    theirs.transform.image_std = (1 / ours.normalize.factor / 255).flatten().tolist()
    return ours, theirs


def test_detections_and_masks_are_torchvisions(pair):
    ours, theirs = pair
    batch = outlined_batch(seed=1)
    ours.eval()
    theirs.eval()
    with torch.inference_mode():
        expected = theirs(as_torchvision(batch)[0])
        got = ours.decode(ours(batch.images), batch.images.original_sizes)
    assert sum(len(one["boxes"]) for one in expected) > 20
    for mine, other in zip(got, expected, strict=True):
        torch.testing.assert_close(mine.scores, other["scores"], rtol=1e-4, atol=1e-4)
        # Scores that tie may change places, so each of theirs is looked up among ours.
        key = [
            torch.cat([boxes, labels[:, None] * 1e4], dim=1)
            for boxes, labels in ((other["boxes"], other["labels"]), (mine.boxes, mine.labels + 1))
        ]
        rows = torch.cdist(*key).argmin(1)
        assert len(rows.unique()) == len(rows)
        torch.testing.assert_close(mine.boxes[rows], other["boxes"], rtol=1e-4, atol=1e-4)
        assert torch.equal(mine.labels[rows] + 1, other["labels"])
        assert mine.masks.dtype == torch.uint8
        areas = (mine.boxes[:, 2:] - mine.boxes[:, :2]).prod(dim=1).sum()
        assert 0.05 < mine.masks.sum() / areas < 0.95
        # Halfway between a sure yes and a sure no, the last bit decides; everywhere else the masks are the same.
        decided = (other["masks"][:, 0] - 0.5).abs() > 1e-9
        assert decided.float().mean() > 0.999
        assert torch.equal(mine.masks[rows].bool()[decided], (other["masks"][:, 0] > 0.5)[decided])


def test_losses_and_gradients_are_torchvisions(pair, monkeypatch):
    ours, theirs = pair
    monkeypatch.setattr(BalancedPositiveNegativeSampler, "__call__", first_sampled)
    monkeypatch.setattr(ours, "priority", first_ones)
    monkeypatch.setattr(ours.proposals, "priority", first_ones)
    batch = outlined_batch()
    ours.train()
    theirs.train()
    expected = theirs(*as_torchvision(batch))
    got = ours.loss(ours(batch.images, batch.targets), batch.targets)
    names = {
        "objectness": "loss_objectness",
        "proposal_box": "loss_rpn_box_reg",
        "class": "loss_classifier",
        "box": "loss_box_reg",
        "mask": "loss_mask",
    }
    assert set(got) == set(names)
    for mine, other in names.items():
        assert expected[other] > 0
        torch.testing.assert_close(got[mine], expected[other], rtol=1e-6, atol=1e-6)
    sum(expected.values()).backward()
    sum(got.values()).backward()
    gradients = our_names({name: value.grad for name, value in theirs.named_parameters()})
    for name, value in ours.named_parameters():
        assert (value.grad - gradients[name]).norm() <= 1e-5 * gradients[name].norm() + 1e-9, name


def built(name="mobilenet", num_classes=NUM_CLASSES):
    torch.manual_seed(0)
    model = BUILDERS[name](num_classes)
    model.settings = RegionSettings(slots=16, selection=SelectionSettings(score_above=0.1, max_detections=12))
    model.proposals.settings = ProposalSettings(
        slots=10_000, before_nms_train=80, after_nms_train=40, before_nms_test=40, after_nms_test=12
    )
    return model


def as_float(batch):
    return batch.map(lambda tensor: tensor.float() if tensor.dtype == torch.float64 else tensor)


def losses_of(model, batch):
    return model.loss(model(batch.images, batch.targets), batch.targets)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_parameter_learns(name):
    model = built(name).train()
    losses = losses_of(model, as_float(outlined_batch()))
    assert set(losses) == {"objectness", "proposal_box", "class", "box", "mask"}
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    silent = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("num_classes", [1, 80])
def test_masks_begin_undecided(num_classes):
    losses = losses_of(built(num_classes=num_classes).train(), as_float(outlined_batch(num_classes=num_classes)))
    assert losses["mask"].item() == pytest.approx(math.log(2), abs=0.05)  # each pixel is worth a toss of a coin


def test_one_type_of_output_whatever_is_asked():
    model = built()
    batch = as_float(outlined_batch(scale=2))
    for training in (True, False):
        model.train(training)
        for targets in (None, batch.targets):
            output = model(batch.images, targets)
            assert type(output) is MaskOutput
            assert (len(output.mask_rows) == 0) == (targets is None)
            assert output.mask_logits.shape == (len(output.mask_rows), 28, 28)
            assert all(item.dtype == torch.float64 for item in output.map(torch.Tensor.double).maps)
            with torch.inference_mode():
                for one, size in zip(
                    model.decode(output, batch.images.original_sizes), [(192, 256), (160, 200)], strict=True
                ):
                    assert one.masks.shape == (len(one.scores), *size)
                    assert one.masks.dtype == torch.uint8


def test_a_mask_stays_in_its_box():
    model = built().eval()
    batch = as_float(outlined_batch(scale=3))
    with torch.inference_mode():
        for one in model.decode(model(batch.images), batch.images.original_sizes):
            assert len(one.scores) > 0
            for box, mask in zip(one.boxes, one.masks, strict=True):
                left, top, right, bottom = (box + torch.tensor([-1, -1, 1, 1])).tolist()
                # The mask has one cell of nothing around, which may round into the pixel beyond the box.
                rows, columns = mask.nonzero(as_tuple=True)
                if len(rows):
                    margin = max(right - left, bottom - top) / 28 + 1
                    assert rows.min() >= top - margin
                    assert rows.max() <= bottom + margin
                    assert columns.min() >= left - margin
                    assert columns.max() <= right + margin


@pytest.mark.parametrize("counts", [(0, 3), (0, 0)])
@pytest.mark.parametrize("training", [True, False])
def test_images_without_objects(counts, training):
    model = built().train(training)
    losses = losses_of(model, as_float(outlined_batch(counts)))
    assert all(loss.isfinite() for loss in losses.values())
    assert losses["mask"] > 0 if training and any(counts) else losses["mask"] >= 0
    sum(losses.values()).backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in model.parameters())


def test_data_without_outlines_is_refused_with_advice():
    model = built().train()
    batch = as_float(outlined_batch())
    targets = replace(batch.targets, masks=None)
    with pytest.raises(InputError, match=r"BoxTarget\.masks.*Faster R-CNN"):
        model.loss(model(batch.images, targets), targets)
    plain = model(batch.images)
    with pytest.raises(InputError, match="with targets"):
        model.loss(plain, batch.targets)


def test_two_images_at_once_are_as_one_by_one():
    model = built("r18").double().eval()
    batch = outlined_batch(scale=2)
    with torch.inference_mode():
        together = model.decode(model(batch.images), batch.images.original_sizes)
        for row in range(2):
            images = batch.images.map(lambda tensor, row=row: tensor[row : row + 1])
            (alone,) = model.decode(model(images), images.original_sizes)
            assert len(alone.scores) > 0
            torch.testing.assert_close(together[row].boxes, alone.boxes)
            assert torch.equal(together[row].masks, alone.masks)


def test_only_masks_of_regions_with_objects_matter():
    """The loss over all slots, as on an accelerator, is the loss over the filled ones."""
    model = built().train()
    model.priority = model.proposals.priority = first_ones
    batch = as_float(outlined_batch())
    output = model(batch.images, batch.targets)
    found = model.loss(output, batch.targets)["mask"]
    shows = output.region_targets.labels.flatten() > 0
    assert len(output.mask_rows) == shows.sum()
    rows = shows.to(torch.uint8).argsort(descending=True, stable=True)
    labels = output.region_targets.labels.flatten()[rows].clamp(min=1)
    boxes = output.regions.boxes.flatten(0, 1)[rows]
    logits = model.masks(output.maps, boxes, rows // output.regions.valid.shape[1], labels)
    longer = replace(output, mask_rows=rows, mask_logits=logits)
    torch.testing.assert_close(model.loss(longer, batch.targets)["mask"], found)


def test_bfloat16_features_are_decoded_outside_autocast():
    model = built().eval()
    batch = as_float(outlined_batch())
    with torch.inference_mode():
        with torch.autocast("cpu", torch.bfloat16):
            output = model(batch.images)
        assert output.maps[0].dtype == torch.bfloat16
        found = model.decode(output, batch.images.original_sizes)
    assert any(one.masks.any() for one in found)
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(batch.images, batch.targets)
        losses = model.loss(output, batch.targets)
    assert output.mask_logits.dtype == torch.float32
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize("num_classes", [1, 500])
def test_one_class_and_many(num_classes):
    model = built(num_classes=num_classes)
    batch = as_float(outlined_batch(num_classes=num_classes))
    assert all(loss.isfinite() for loss in losses_of(model.train(), batch).values())
    model.eval()
    model.settings = replace(model.settings, selection=SelectionSettings(score_above=0.0, max_detections=5))
    with torch.inference_mode():
        assert len(model.decode(model(batch.images), batch.images.original_sizes)[0].masks) == 5


def test_nothing_found_has_no_masks():
    model = built().eval()
    model.settings = replace(model.settings, selection=SelectionSettings(score_above=1.0))
    batch = as_float(outlined_batch())
    with torch.inference_mode():
        for one in model.decode(model(batch.images), batch.images.original_sizes):
            assert one.masks.shape == (0, *one.masks.shape[1:])


@pytest.mark.parametrize("old_names", [False, True])
def test_torchvisions_file_fills_everything(tmp_path, old_names):
    """Old files call the convolutions mask_fcn1 to 4."""
    state = their_r18().state_dict()
    if old_names:
        state = {
            re.sub(r"mask_head\.(\d)\.0\.", lambda m: f"mask_head.mask_fcn{int(m[1]) + 1}.", key): value
            for key, value in state.items()
        }
    torch.save(state, tmp_path / "theirs.pth")
    model = mask_rcnn_r18_fpn(NUM_CLASSES)
    report = load_weights(model, tmp_path / "theirs.pth")
    assert report.missing == report.unexpected == report.reshaped == ()
    assert torch.equal(
        model.mask_head.convs[2].weight,
        next(v for k, v in state.items() if "mask_fcn3.w" in k or "mask_head.2.0.w" in k),
    )
