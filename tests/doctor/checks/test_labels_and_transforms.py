"""M19 and M33: labels that do not move with the images, or are changed by resizing."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from snellen.data import ssd_transform, training_transform
from snellen.doctor import Evidence, Status, diagnose, find_check
from snellen.doctor.evidence.label_motion import label_motion
from snellen.doctor.evidence.loop_parts import LabelTransform, label_transform
from snellen.structures import BoxTarget, ClassTarget, MaskTarget

Pair = tuple[Any, Any]


def found(*, boxes: Any = None, mask: Any = None) -> list[str]:
    results = diagnose(
        Evidence([LabelTransform(boxes=boxes, mask=mask)], [label_motion]), [find_check("M33"), find_check("M19")]
    )
    assert not results.with_status(Status.CRASHED)
    if results.with_status(Status.NOT_CHECKABLE):
        return ["?"]
    return [f"{finding.level.name} {finding.code} {finding.message}" for finding in results.findings]


def torchvisions(*steps: v2.Transform) -> Any:
    change = v2.Compose(steps)

    def boxes(image: np.ndarray, given: np.ndarray) -> Pair:
        size = image.shape[:2]
        wrapped = tv_tensors.BoundingBoxes(given, format="XYXY", canvas_size=size)
        after = change(tv_tensors.Image(np.ascontiguousarray(image.transpose(2, 0, 1))), wrapped)
        return np.asarray(after[0]), np.asarray(after[1])

    return boxes


def flipped(image: np.ndarray, boxes: np.ndarray) -> Pair:
    return (image[:, ::-1], boxes) if np.random.random() < 0.5 else (image, boxes)  # noqa: NPY002


def squeezed(image: np.ndarray, boxes: np.ndarray) -> Pair:
    return cv2.resize(image, (160, 160)), boxes


def swapped(image: np.ndarray, boxes: np.ndarray) -> Pair:
    scale = np.array([160 / 240, 160 / 320, 160 / 240, 160 / 320], np.float32)  # height and width mixed up
    return cv2.resize(image, (160, 160)), boxes * scale


def right_size(image: np.ndarray, boxes: np.ndarray) -> Pair:
    scale = np.array([160 / 320, 160 / 240] * 2, np.float32)
    return cv2.resize(image, (160, 160)).astype(np.float32) / 127.5 - 1, boxes * scale


@pytest.mark.parametrize(("change", "expected"), [
    (torchvisions(v2.RandomHorizontalFlip(), v2.RandomRotation(15), v2.Resize((128, 128))), []),
    (torchvisions(v2.RandomIoUCrop(), v2.ClampBoundingBoxes(), v2.ColorJitter(0.4, 0.4), v2.GaussianBlur(5)), []),
    (right_size, []),
    (flipped, ["ERROR M19 boxes"]),
    (squeezed, ["ERROR M33 not_scaled"]),
    (swapped, ["ERROR M19 boxes"]),
    (lambda image, boxes: (image, boxes + 5), ["WARNING M19 off"]),
    (lambda image, boxes: image, ["?"]),
    (lambda image: image, ["?"]),
    (lambda image, boxes: (image * 0, boxes), ["?"]),
])  # fmt: skip
def test_boxes(change: Any, expected: list[str]) -> None:
    assert found(boxes=change) == expected


def mask_resized(how: int) -> Any:
    def change(image: np.ndarray, mask: np.ndarray) -> Pair:
        size = (200, 150)
        return cv2.resize(image, size), cv2.resize(mask.astype(np.float32), size, interpolation=how).astype(np.int64)

    return change


@pytest.mark.parametrize(("change", "expected"), [
    (mask_resized(cv2.INTER_NEAREST), []),
    (mask_resized(cv2.INTER_LINEAR), ["ERROR M33 blended"]),
    (mask_resized(cv2.INTER_CUBIC), ["ERROR M33 blended"]),
    (lambda image, mask: (image[::-1], mask), ["ERROR M19 mask"]),
    (lambda image, mask: (image[::-1], mask[::-1]), []),
    (lambda image, mask: (np.pad(image, ((9, 9), (0, 0), (0, 0))),
                          np.pad(mask, ((9, 9), (0, 0)), constant_values=255)), []),
])  # fmt: skip
def test_masks(change: Any, expected: list[str]) -> None:
    assert found(mask=change) == expected


@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize("resize", ["short", "square", "letterbox"])
def test_snellens_own_transforms_are_right(strength: float, resize: Any) -> None:
    change = label_transform(training_transform(BoxTarget, 192, strength=strength, resize=resize), BoxTarget)
    assert found(boxes=change.boxes) == []


def test_snellens_masks_and_ssd_are_right() -> None:
    masks = label_transform(training_transform(MaskTarget, 160, strength=1.0), MaskTarget)
    assert found(mask=masks.mask) == []
    assert found(boxes=label_transform(ssd_transform(300, flip=True), BoxTarget).boxes) == []


def test_labels_of_whole_images_do_not_move() -> None:
    change = label_transform(training_transform(ClassTarget, 64, strength=0.5), ClassTarget)
    assert found(boxes=change.boxes, mask=change.mask) == ["?"]


def test_says_where_labels_are() -> None:
    given = Evidence([LabelTransform(boxes=lambda image, boxes: (image[:, ::-1], boxes))], [label_motion])
    (finding,) = diagnose(given, [find_check("M19")]).findings
    text = find_check("M19").pages["en"].message(finding)
    assert " draws the box is not where the object is (median IoU 0." in text
    blended = Evidence([LabelTransform(mask=mask_resized(cv2.INTER_LINEAR))], [label_motion])
    (finding,) = diagnose(blended, [find_check("M33")]).findings
    text = find_check("M33").pages["en"].message(finding)
    assert text.endswith(" of 24 draws the mask has values that are no class (1, 2, 3, 4, 5).")


def test_leaves_random_states_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    found(boxes=flipped)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tobytes() == before[1]  # noqa: NPY002
