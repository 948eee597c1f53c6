"""Box offsets against torchvision's BoxCoder, and at the edges of what a float can hold."""

import math

import pytest
import torch
from torchvision.models.detection._utils import BoxCoder

from snellen.ops import decode_boxes, encode_boxes
from snellen.ops.coding import MAX_LOG_SCALE

PLAIN, REGION = (1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)


@pytest.mark.parametrize("weights", [PLAIN, REGION])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_encode_and_decode_are_torchvisions(random_boxes, weights, count):
    boxes, references = random_boxes(count, (300, 500)), random_boxes(count, (300, 500), seed=1)
    coder = BoxCoder(weights)
    offsets = encode_boxes(boxes, references, weights=weights)
    torch.testing.assert_close(offsets, coder.encode([boxes], [references])[0], rtol=1e-5, atol=1e-5)
    noise = torch.randn(count, 4, generator=torch.Generator().manual_seed(2)) * 3
    decoded = decode_boxes(noise, references, weights=weights)
    torch.testing.assert_close(decoded, coder.decode(noise, [references]).view(-1, 4), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_decode_inverts_encode_over_leading_axes(random_boxes, dtype):
    boxes, references = random_boxes(5, leading=(2, 3)).to(dtype), random_boxes(5, seed=1).to(dtype)
    offsets = encode_boxes(boxes, references, weights=REGION)
    assert offsets.shape == (2, 3, 5, 4)
    assert offsets.dtype == dtype
    # Some boxes are more than 1000/16 times their reference, which decode refuses.
    reachable = (offsets[..., 2:] / 5 < MAX_LOG_SCALE).all(dim=-1)
    assert reachable.sum() > 20
    decoded = decode_boxes(offsets, references, weights=REGION)
    torch.testing.assert_close(decoded[reachable], boxes[reachable], rtol=1e-4, atol=1e-4)


def test_degenerate_boxes_and_references_give_finite_offsets_and_gradients():
    zero = torch.zeros(1, 4)
    solid = torch.tensor([[10.0, 10, 500, 20]])
    negative = torch.tensor([[30.0, 30, 10, 10]])
    for boxes in (zero, solid, negative):
        for references in (zero, solid, negative):
            wanted = boxes.clone().requires_grad_()
            offsets = encode_boxes(wanted, references, weights=REGION)
            assert offsets.isfinite().all()
            offsets.sum().backward()
            assert wanted.grad.isfinite().all()


def test_scale_is_cut_so_that_no_offset_overflows():
    reference = torch.tensor([[0.0, 0, 16, 16]])
    box = decode_boxes(torch.tensor([[0.0, 0, 1e30, torch.inf]]), reference)
    assert math.isclose(float(box[0, 2] - box[0, 0]), 1000, rel_tol=1e-4)
    assert math.isclose(float(box[0, 3] - box[0, 1]), 1000, rel_tol=1e-4)
    assert torch.equal(decode_boxes(torch.tensor([[0.0, 0, -torch.inf, -1e30]]), reference), torch.full((1, 4), 8.0))


def test_arguments_are_left_alone(random_boxes):
    boxes, references = random_boxes(3), random_boxes(3, seed=1)
    before = boxes.clone(), references.clone()
    decode_boxes(encode_boxes(boxes, references), references)
    assert torch.equal(boxes, before[0])
    assert torch.equal(references, before[1])


def test_gradients(random_boxes):
    references = random_boxes(3, seed=1).double()
    offsets = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda o: decode_boxes(o, references, weights=REGION), offsets)
