"""resize-misaligned (M32)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.trace import NetworkTrace, Operation
from snellen.doctor.finding import Finding, Level, Place

__all__ = ["CHECK"]

_CASTS = ("long", "int", "short", "char", "byte", "to", "type", "type_as")
_LINEAR = ("linear", "bilinear", "bicubic", "trilinear", "area")


def judge(trace: NetworkTrace) -> Iterator[Finding]:
    """Yield findings for class maps that are interpolated, images that are subsampled, and edges that do not match."""
    resizes = [each for each in trace.operations if each.kind is Kind.RESIZE]
    blended = [each for each in resizes if _blends_classes(trace, each)]
    if blended:
        yield _finding("mask_blended", Level.WARNING, blended)
    sampled = [each for each in resizes if _subsamples_images(trace, each)]
    if sampled:
        yield _finding("image_nearest", Level.WARNING, sampled)
    smooth = [each for each in trace.forward if each.kind is Kind.RESIZE and _mode(each) in _LINEAR]
    aligned = [each for each in smooth if each.settings.get("align_corners") is True]
    if aligned and len(aligned) < len(smooth):
        yield _finding("mixed", Level.INFO, aligned, others=len(smooth) - len(aligned))


def _finding(message: str, level: Level, operations: list[Operation], others: int = 0) -> Finding:
    first = operations[0]
    return Finding(
        level=level,
        message=message,
        numbers={"count": len(operations), "others": others, "first": first.name, "mode": _mode(first),
                 "before": "×".join(map(str, first.given_shape[2:])), "after": "×".join(map(str, first.shape[2:]))},
        measured=float(len(operations)),
        places=tuple(
            Place(kind="layer", name=each.name, note=f"{_mode(each)}, {each.settings.get('align_corners')}")
            for each in operations[:50]
        ),
        num_places=len(operations),
    )  # fmt: skip


def _mode(resize: Operation) -> str:
    return str(resize.settings.get("mode", "bilinear" if "bilinear" in resize.function else "nearest"))


def _blends_classes(trace: NetworkTrace, resize: Operation) -> bool:
    """Return whether whole numbers of the targets are interpolated and then taken for whole numbers again."""
    if not resize.from_targets or resize.from_images or _mode(resize) not in _LINEAR:
        return False
    place = resize
    while not _is_whole(place.given_dtype):
        if not place.inputs:
            return False
        place = trace.operations[place.inputs[0]]
    users = [trace.operations[index] for index in trace.behind(resize)]
    return any(_is_whole(each.dtype) and each.function in _CASTS and not each.from_images for each in users)


def _is_whole(dtype: str) -> bool:
    return dtype.startswith(("int", "uint"))


def _subsamples_images(trace: NetworkTrace, resize: Operation) -> bool:
    """Return whether pixels of the images themselves are left out."""
    if not resize.from_images or resize.from_targets or _mode(resize) != "nearest":
        return False
    before, after = resize.given_shape[2:], resize.shape[2:]
    return trace.depths[resize.index] == 0 and any(2 * new <= old for new, old in zip(after, before, strict=True))


CHECK = Check(
    code="M32",
    name="resize-misaligned",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-106",),
    source="PyTorch, torch.nn.functional.interpolate (align_corners); Parmar et al. 2022, "
    "https://arxiv.org/abs/2104.11222 (aliasing)",
    pages={
        "en": Page(
            title="maps, images or masks resized in ways that do not match",
            finds="Class maps of the targets that are resized with interpolation; images that the model subsamples "
            "without smoothing; interpolations with align_corners=True beside others with False.",
            matters="Between class 1 and class 3 interpolation makes class 2, along every edge. Leaving out pixels "
            "draws patterns that are not in the scene. The two ways to align a grid differ by up to half a cell at the "
            "borders, so that features and outputs are shifted against each other there.",
            measured="By following every resize in the model and in the loss: whole numbers of the targets that are "
            "made float, interpolated and made whole again; images resized by nearest neighbours to half or less. "
            "Both are warnings. A mixture of align_corners is told.",
            false_alarms="Masks of two classes that are rounded after interpolation stay right but for their edges. "
            "segmentation-models-pytorch mixes align_corners in three of its decoders, at little cost.",
            fix="mode='nearest' for class maps; mode='bilinear' with antialias=True for images that get smaller; one "
            "value of align_corners in the whole model, False unless weights were trained with True.",
            messages={
                "mask_blended": "Class numbers of the targets are resized by {mode} ({before} to {after}), in {first}: "
                "along edges this makes classes that are not there.",
                "image_nearest": "The model resizes its images from {before} to {after} by leaving out pixels, in "
                "{first}.",
                "mixed": "{count} interpolations align the corners and {others} do not, such as {first}: borders are "
                "shifted against each other.",
            },
        ),
        "zh": Page(
            title="特征图、图像或掩码的缩放方式不一致",
            finds="用插值缩放的类别图；模型不经平滑就抽取像素的图像；align_corners=True 与 False 混用的插值。",
            matters="在类别 1 和类别 3 之间，插值会沿每条边缘产生类别 2。丢弃像素会画出场景中没有的花纹。"
            "两种网格对齐方式在边界处最多相差半个格子，特征和输出在那里彼此错位。",
            measured="追踪模型和损失中的每次缩放：把目标中的整数转为浮点、插值再转回整数；用最近邻把图像缩到一半或更"
            "小。两者都给警告。混用 align_corners 时提示。",
            false_alarms="二类掩码插值后取整，除边缘外仍然正确。segmentation-models-pytorch 有三个解码器混用 "
            "align_corners，代价很小。",
            fix="类别图用 mode='nearest'；缩小图像用 mode='bilinear' 且 antialias=True；整个模型只用一种 "
            "align_corners，除非权重是用 True 训练的，否则用 False。",
            messages={
                "mask_blended": "目标的类别编号在 {first} 中用 {mode} 缩放（{before} 到 {after}）：边缘处会产生不存在"
                "的类别。",
                "image_nearest": "模型在 {first} 中以丢弃像素的方式把图像从 {before} 缩放到 {after}。",
                "mixed": "{count} 次插值对齐角点，{others} 次不对齐，例如 {first}：边界彼此错位。",
            },
        ),
    },
)
