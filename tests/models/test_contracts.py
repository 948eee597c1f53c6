"""What holds for every model of the catalog, whatever its task."""

import copy
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from snellen.models import MODELS, ModelEntry, builder_options, change_settings, settings_of
from snellen.models.detection.retinanet import RetinaNet
from snellen.structures import BoxTarget, ClassTarget, Detections, MaskTarget, Model, Regions, Staged, Target

NUM_CLASSES = 3
SIDE = 64


def class_target(num: int) -> ClassTarget:
    return ClassTarget(probs=torch.eye(NUM_CLASSES)[torch.arange(num) % NUM_CLASSES])


def mask_target(num: int) -> MaskTarget:
    rows = torch.arange(SIDE)[:, None] * NUM_CLASSES // SIDE
    labels = torch.stack([(rows + index).expand(SIDE, SIDE) % NUM_CLASSES for index in range(num)])
    return MaskTarget(labels=labels.to(torch.uint8))


def regions(num: int) -> Regions:
    """Proposals as a search would give them: some near the objects, some of nothing, the last row padding."""
    boxes = torch.tensor(
        [[3.0, 5, 42, 45], [18, 18, 61, 58], [0, 0, 64, 64], [0, 40, 20, 64], [30, 2, 60, 20], [0, 0, 0, 0]]
    )
    valid = torch.tensor([True] * 5 + [False])
    return Regions(boxes=boxes.expand(num, 6, 4), valid=valid.expand(num, 6))


def box_target(num: int) -> BoxTarget:
    rows = [[4.0, 6.0, 40.0, 44.0], [20.0, 16.0, 60.0, 60.0], [44.0, 2.0, 60.0, 16.0], [2.0, 50.0, 8.0, 56.0]]
    boxes = torch.tensor(rows).expand(num, len(rows), 4)
    labels = (torch.arange(num)[:, None] + torch.arange(len(rows))) % NUM_CLASSES
    return BoxTarget(
        boxes=boxes,
        labels=labels,
        valid=torch.ones(labels.shape, dtype=torch.bool),
        ignored=torch.zeros(labels.shape, dtype=torch.bool),
        masks=box_masks(boxes),
    )


def box_masks(boxes: Tensor) -> Tensor:
    """The inner half of each box."""
    low, high = (boxes[..., :2] * 3 + boxes[..., 2:]) / 4, (boxes[..., :2] + boxes[..., 2:] * 3) / 4
    place = torch.arange(SIDE)
    columns = (place >= low[..., 0, None]) & (place < high[..., 0, None])
    rows = (place >= low[..., 1, None]) & (place < high[..., 1, None])
    return (rows[..., :, None] & columns[..., None, :]).to(torch.uint8)


TARGETS = {ClassTarget: class_target, MaskTarget: mask_target, BoxTarget: box_target}


# Deeper siblings of rows that always run, and nets of which one step takes seconds.
HEAVY = {
    "resnet101", "resnet152", "unet_resnet50", "faster_rcnn_r50_fpn", "faster_rcnn_r50_c4", "rcnn_alexnet",
    "rcnn_vgg16", "sppnet_zf", "sppnet_vgg16", "fast_rcnn_caffenet", "fast_rcnn_vgg16", "faster_rcnn_zf",
    "faster_rcnn_vgg16",
    "mask_rcnn_r50_fpn", "mask_rcnn_r18_fpn", "yolo_v1", "yolo_v2", "yolo_v3", "ssd300", "ssd512",
    "retinanet_r50_fpn",
    "faster_rcnn_mobilenet_v2_c4_alternating",
    "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "googlenet_paper", "caffenet",
    "plain18", "plain34", "resnetv2_34", "resnetv2_50", "resnetv2_101", "resnetv2_152", "wide_resnet50_2",
    "wide_resnet101_2", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "seresnet34", "seresnet50",
    "seresnet101", "seresnet152", "seresnext50_32x4d", "seresnext101_32x4d", "shufflenet_v1_g1", "shufflenet_v1_g2",
    "shufflenet_v1_g4", "shufflenet_v1_g8",
    "shufflenet_v1_g3_x0_25", "shufflenet_v1_g3_x0_5", "shufflenet_v1_g3_x1_5", "shufflenet_v1_g3_x2_0",
    "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "cifar_resnet32", "cifar_resnet44",
    "cifar_resnet56", "cifar_resnet110", "cifar_plain20", "cifar_plain56", "cifar_bottleneck", "wrn16_8",
    "wrn28_10", "wrn40_4",
    "densenet161", "densenet169", "densenet201", "squeezenet1_0", "mobilenet_v2_050", "mobilenet_v2_075",
    "mobilenet_v2_130", "mobilenet_v2_140", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3",
    "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7", "darknet19", "darknet53",
    "unet_paper", "fcn_32s_vgg16", "fcn_16s_vgg16", "fcn_8s_vgg16", "fcn_32s_mobilenet_v2", "fcn_16s_mobilenet_v2",
    "deeplab_v3_mobilenet_v3_large", "lraspp_mobilenet_v3_small",
    "fcn_resnet50", "fcn_resnet101", "segnet_vgg16", "deeplab_v3_resnet50", "deeplab_v3_resnet101",
    "deeplab_v3_plus_resnet50", "deeplab_v3_plus_resnet101", "pspnet_resnet50", "pspnet_resnet101",
}  # fmt: skip
ROWS = [pytest.param(entry, id=entry.name, marks=[pytest.mark.slow] if entry.name in HEAVY else []) for entry in MODELS]


@pytest.fixture(scope="module", params=ROWS)
def entry(request) -> ModelEntry:
    return request.param


def small_options(entry: ModelEntry) -> dict[str, object]:
    """What makes a model take images of 64 px, and a few seconds."""
    options: dict[str, object] = {"image_size": SIDE} if entry.sized else {}
    if entry.least_size > SIDE:
        options["padded"] = True
    if "fc_width" in builder_options(entry):
        options["fc_width"] = 64  # two layers of 4096 have a hundred million weights
    return options


def build(entry: ModelEntry) -> Model:
    """An untrained model that says whatever it sees: those that are trained to be silent would find nothing."""
    model = entry.build(NUM_CLASSES, **small_options(entry))
    known = settings_of(model)
    change_settings(model, {path: 0.0 for path in known if path.endswith("score_above")})
    # So few that a box on the edge of suppression does not change how many there are.
    change_settings(model, {path: 20 for path in known if path.endswith("max_detections")})
    # Mining may pass over a map of four cells.
    change_settings(model, {path: 1e6 for path in known if path.endswith("negative_ratio")})
    if isinstance(model, RetinaNet):
        with torch.no_grad():
            model.head.classes.weight *= 50  # else all anchors score alike, and rounding decides which are looked at
    return model


@pytest.fixture(scope="module")
def fresh(entry) -> Model:
    torch.manual_seed(0)
    return build(entry)


@pytest.fixture
def make_images(make_images, entry):
    """Images as the model wants them: with proposals, if it judges those of others."""

    def make(*sizes, **options):
        images = make_images(*sizes, **options)
        return replace(images, regions=regions(len(sizes))) if entry.regions else images

    return make


def learning(model: Model) -> dict[str, torch.nn.Parameter]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


@pytest.fixture
def model(fresh) -> Model:
    return copy.deepcopy(fresh)


@pytest.fixture
def target(entry) -> Target:
    return TARGETS[entry.target_type](2)


def tensors(record: object) -> dict[str, Tensor]:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def assert_same_detections(found: Detections, wanted: Detections):
    """Equal as sets: untrained nets score so evenly that rounding decides who stands before whom."""
    torch.testing.assert_close(found.scores, wanted.scores, atol=1e-4, rtol=1e-4)
    is_same = (found.boxes[:, None] - wanted.boxes[None]).abs().amax(dim=-1) < 0.01  # px
    is_same &= found.labels[:, None] == wanted.labels[None]
    is_same &= (found.scores[:, None] - wanted.scores[None]).abs() < 1e-4
    least = found.scores.min() if len(found.scores) else 0.0
    is_clear = found.scores > least + 1e-4  # the last place may go to another of the same score
    assert is_same.any(dim=1)[is_clear].all()


def assert_same_predictions(found, wanted):
    assert len(found) == len(wanted)
    for left, right in zip(found, wanted, strict=True):
        assert type(left) is type(right)
        if isinstance(left, Detections):
            assert_same_detections(left, right)
            continue
        for name, value in tensors(left).items():
            torch.testing.assert_close(value, tensors(right)[name], atol=1e-4, rtol=1e-4)


def test_follows_the_protocol(entry, model):
    assert isinstance(model, Model)
    assert model.target_type is entry.target_type
    assert entry.summary
    assert entry.paper.startswith("https://")


def test_one_type_of_output_in_training_and_evaluation(model, target, make_images):
    images = make_images((SIDE, SIDE), (SIDE, SIDE))
    assert type(model.train()(images, target)) is type(model.eval()(images))


def test_loss_is_finite_and_reaches_every_parameter(model, target, make_images):
    touched = set()
    for stage in model.stages if isinstance(model, Staged) else (None,):
        if stage is not None:
            model.enter(stage.name)
        losses = model.loss(model.train()(make_images((SIDE, SIDE), (SIDE, SIDE)), target), target)
        assert losses
        for name, value in losses.items():
            assert value.shape == (), name
            assert torch.isfinite(value), name
        if stage is None or stage.kind == "gradient":
            model.zero_grad()
            sum(losses.values()).backward()
            assert_gradients(learning(model))
            touched |= learning(model).keys()
    assert touched or not list(model.parameters())


def assert_gradients(parameters: dict[str, torch.nn.Parameter]):
    for name, parameter in parameters.items():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_loss_is_available_in_evaluation(model, target, make_images):
    images = make_images((SIDE, SIDE), (SIDE, SIDE))
    with torch.no_grad():
        losses = model.loss(model.eval()(images, target), target)
    assert all(torch.isfinite(value) for value in losses.values())


def test_batch_of_two_is_two_batches_of_one(model, make_images):
    images = make_images((SIDE, SIDE), (SIDE, SIDE))
    model.eval()
    with torch.no_grad():
        together = model.decode(model(images), images.original_sizes)
        alone = []
        for index in range(2):
            one = images.map(lambda x, index=index: x[index : index + 1])
            alone += model.decode(model(one), one.original_sizes)
    assert_same_predictions(together, alone)


def test_what_stands_in_the_padding_does_not_matter(model, make_images):
    model.eval()
    found = []
    with torch.no_grad():
        for fill in (0, 255):
            images = make_images((40, 50), (SIDE, SIDE), canvas=(SIDE, SIDE), fill=fill)
            found.append(model.decode(model(images), images.original_sizes))
    assert_same_predictions(*found)


def test_predictions_are_in_the_pixels_of_the_original(model, entry, make_images):
    if entry.target_type is not MaskTarget:
        pytest.skip("only maps have a size of their own")
    images = make_images((40, 50), (SIDE, SIDE), canvas=(SIDE, SIDE))
    with torch.no_grad():
        found = model.decode(model.eval()(images), torch.tensor([[80, 100], [21, 33]]))
    assert [tuple(item.labels.shape) for item in found] == [(80, 100), (21, 33)]


def test_state_dict_round_trip(model, entry, make_images):
    images = make_images((SIDE, SIDE))
    torch.manual_seed(1)
    other = build(entry)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        left = model.decode(model.eval()(images), images.original_sizes)
        right = other.decode(other.eval()(images), images.original_sizes)
    assert_same_predictions(left, right)


def test_bf16_autocast(model, target, make_images):
    images = make_images((SIDE, SIDE), (SIDE, SIDE))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model.train()(images, target)
    losses = model.loss(output, target)
    assert all(value.dtype == torch.float32 for value in losses.values())
    if learning(model):
        sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in learning(model).values())
    assert len(model.decode(output, images.original_sizes)) == 2


def test_inputs_are_not_modified(model, target, make_images):
    images = make_images((40, 50), (SIDE, SIDE), canvas=(SIDE, SIDE), fill=9)
    before = [copy.deepcopy(tensors(record)) for record in (images, target)]
    output = model.train()(images, target)
    model.loss(output, target)
    for record, values in zip((images, target), before, strict=True):
        for name, value in tensors(record).items():
            assert torch.equal(value, values[name]), name


# Wide networks without batch norm, whose features die on images that are noise; see test_classic_nets.py.
DIES_ON_NOISE = {"nin", "nin_cifar"}


@pytest.mark.slow
def test_overfits_four_images(model, entry, make_images):
    if not learning(model):
        pytest.skip("nothing in it descends a gradient")
    if entry.presumes_weights:
        pytest.skip("without weights the part that is never trained says nothing of these images")
    if entry.name in DIES_ON_NOISE:
        pytest.skip("learns four images that are not noise")
    images, target = make_images(*[(SIDE, SIDE)] * 4), TARGETS[entry.target_type](4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=entry.scratch_lr or 1e-3)
    for module in model.train().modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    totals = []
    for _ in range(100):
        optimizer.zero_grad()
        total = sum(model.loss(model(images, target), target).values())
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        totals.append(total.item())
        if totals[-1] < 0.3 * totals[0]:
            break
    assert totals[-1] < 0.3 * totals[0]
