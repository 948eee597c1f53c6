"""The maps that SSD judges and the default boxes on them."""

import pytest
import torch

from snellen.errors import ConfigError
from snellen.models.detection.ssd import ssd300, ssd512, ssd_mobilenet_v2
from snellen.models.detection.ssd_maps import SsdMaps
from snellen.structures import FeatureSpec

NUM_CLASSES = 3


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1)


def maps_at(side, **options):
    inputs = [FeatureSpec(name="c3", channels=2, stride=8), FeatureSpec(name="c4", channels=3, stride=16)]
    return SsdMaps(inputs, image_size=side, norm_first=True, **options)


@pytest.mark.parametrize(
    ("side", "grids"),
    [(300, [38, 19, 10, 5, 3, 1]), (512, [64, 32, 16, 8, 4, 2, 1]), (320, [40, 20, 10, 5, 3, 1]), (64, [8, 4, 2, 1])],
)
def test_maps_are_the_papers_and_end_in_one_cell(side, grids):
    """SYS-034, SYS-036: figure 2, and footnote 5 for 512 px; other sizes by the same rule."""
    neck = maps_at(side)
    features = {"c3": torch.rand(1, 2, grids[0], grids[0]), "c4": torch.rand(1, 3, grids[1], grids[1])}
    found = neck(features)
    assert [value.shape[-1] for value in found.values()] == grids
    assert [value.shape[1] for value in found.values()] == [spec.channels for spec in neck.features]
    assert found["c3"].detach().norm(dim=1).mean() == pytest.approx(20, rel=1e-4)
    assert torch.equal(found["c4"], features["c4"])


def test_ssd512_has_the_papers_default_boxes():
    model = ssd512(1)
    grids = tuple((side, side) for side in (64, 32, 16, 8, 4, 2, 1))
    assert len(model.head.default_boxes(grids, (512, 512), torch.zeros(()))) == 24564  # table 7
    scales = [0.04, 0.10, 0.26, 0.42, 0.58, 0.74, 0.90, 1.06]  # the authors' for COCO
    assert [row[0] for row in model.head.boxes.scales] == pytest.approx(scales[:-1])
    assert model.head.boxes.scales[-1][1] == pytest.approx(scales[-1])


@pytest.mark.parametrize("maps", [(0, 1, 2), (1,), (0, 2)])
def test_maps_can_be_left_out(batch_of, maps):
    """Table 3: what no judged map needs is not there."""
    model = ssd_mobilenet_v2(NUM_CLASSES, image_size=96, maps=maps)
    whole = ssd_mobilenet_v2(NUM_CLASSES, image_size=96)
    batch = batch_of(stride=1)
    output = model(batch.images)
    sides = [12, 6, 3, 1]
    per_cell = [2 + 2 * len(row) for row in whole.head.boxes.aspect_ratios]
    assert len(output.default_boxes) == sum(sides[number] ** 2 * per_cell[number] for number in maps)
    sum(model.loss(output, batch.targets).values()).backward()
    assert all(value.grad is not None for value in model.parameters())


@pytest.mark.parametrize("maps", [(), (1, 0), (0, 0), (0, 9), (-1, 0)])
def test_maps_that_are_not_there(maps):
    with pytest.raises(ConfigError, match=r"maps among 0\.\.5"):
        maps_at(300, maps=maps)


def test_tables_that_do_not_fit():
    with pytest.raises(ConfigError, match="has 5 maps"):
        ssd_mobilenet_v2(1, image_size=160, scales=(0.1, 0.2))
    with pytest.raises(ConfigError, match="has 5 maps"):
        ssd_mobilenet_v2(1, image_size=160, aspect_ratios=[(2,)])


def test_shapes_can_be_left_out():
    """Table 2: without the boxes of 1/3 and 3, then without any but squares."""
    few = ssd_mobilenet_v2(1, image_size=160, aspect_ratios=[(2,)] * 5)
    squares = ssd_mobilenet_v2(1, image_size=160, aspect_ratios=[()] * 5)
    assert [layer.out_channels for layer in few.head.offsets] == [16] * 5
    assert [layer.out_channels for layer in squares.head.offsets] == [8] * 5


@pytest.mark.slow
def test_without_holes_the_grids_stay(batch_of):
    """Section 3.3: conv5_3 is judged too, and every map has the size that it has with holes."""
    batch = batch_of((1, 2), sizes=[(300, 300)] * 2, stride=1)
    model = ssd300(NUM_CLASSES, atrous=False)
    output = model(batch.images)
    assert len(output.default_boxes) == 8732
    assert [spec.channels for spec in model.neck.features] == [512, 512, 4096, 512, 256, 256]
    assert all(loss.isfinite() for loss in model.loss(output, batch.targets).values())
