"""How many anchors, proposals and regions Faster R-CNN handles where (ERR-110, SYS-016)."""

import pytest
import torch

from snellen.models import find_model
from snellen.models.detection import faster_rcnn_mobilenet_v2_fpn
from snellen.models.detection.faster_rcnn import PAPER_PROPOSALS, PAPER_REGIONS
from snellen.models.detection.rpn import RegionProposalNetwork
from snellen.structures import FeatureSpec, ImageBatch

SIDE = 640
NUM_ANCHORS = 9 * (SIDE // 16) ** 2


@pytest.fixture(scope="module")
def proposing():
    """The published counts on a map of noise whose anchors are small, so that few of them overlap."""
    torch.manual_seed(0)
    network = RegionProposalNetwork(
        [FeatureSpec(name="c4", channels=8, stride=16)], sizes=[(20, 28, 36)], settings=PAPER_PROPOSALS
    )
    sizes = torch.tensor([[SIDE, SIDE]])
    images = ImageBatch(pixels=torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8), sizes=sizes, original_sizes=sizes)
    features = {"c4": 30 * torch.randn(1, 8, SIDE // 16, SIDE // 16)}
    return network, features, images


@pytest.mark.parametrize(("training", "count"), [(True, 2000), (False, 300)])
def test_proposals_that_are_handed_on(proposing, training, count):
    """300 are those of use; in training 2,000 are handed on."""
    network, features, images = proposing
    output, regions = network.train(training)(features, images)
    assert output.objectness.shape == (1, NUM_ANCHORS)
    assert int(regions.valid.sum()) == count


def test_anchors_that_teach(proposing, target_of):
    """256 of all anchors have a gradient, at most half of them objects'."""
    network, features, images = proposing
    output, _ = network.train()(features, images)
    output.objectness.retain_grad()
    target = target_of([[100, 100, 130, 130], [300, 320, 340, 350]], [0, 0]).map(lambda tensor: tensor[None])
    network.loss(output, target)["objectness"].backward()
    gradient = output.objectness.grad
    assert int((gradient != 0).sum()) == 256
    assert 1 <= int((gradient < 0).sum()) <= 128


def test_regions_that_are_judged_in_training(batch_of):
    """128 of the proposals and true boxes are drawn, at most a quarter of them objects; all 300 are judged in use."""
    torch.manual_seed(0)
    model = faster_rcnn_mobilenet_v2_fpn(3)
    model.settings, model.proposals.settings = PAPER_REGIONS, PAPER_PROPOSALS
    batch = batch_of((2,), sizes=[(416, 416)])
    output = model.train()(batch.images, batch.targets)
    assert output.class_logits.shape[:2] == (1, 128)
    with torch.inference_mode():
        output = model.eval()(batch.images)
    assert output.class_logits.shape[1] <= 300


@pytest.mark.parametrize("name", ["faster_rcnn_zf", "faster_rcnn_vgg16"])
def test_published_models_have_the_published_counts(name):
    with torch.device("meta"):
        model = find_model(name).build(20)
    anchors, regions = model.proposals.settings, model.settings
    assert (anchors.slots, anchors.positive_share) == (256, 0.5)
    assert (anchors.after_nms_train, anchors.after_nms_test) == (2000, 300)
    assert (regions.slots, regions.positive_share) == (128, 0.25)
