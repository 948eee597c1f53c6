"""What each step of segmentation bought: which trainings and treatments are compared, and what was published."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["QUESTIONS", "SETS", "Question", "Side", "StepSet"]


@dataclass(frozen=True, kw_only=True)
class StepSet:
    """A data set at a budget.

    Attributes:
        size: Short side of the images in pixels.
        epochs: Passes over the training images.
        batch: Images of a step.
        lr: Peak learning rate.
        warmup: Steps until it is reached.
        has_weights: Whether trainings begin from the ImageNet weights of MobileNetV2.
        split: That is measured on.
    """

    size: int
    epochs: int
    batch: int
    lr: float
    warmup: int
    has_weights: bool
    split: str


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: In the table.
        model: That is trained.
        options: Further words of ``snellen train``; equal words mean the same training, done once.
        crf: Whether a dense CRF refines the maps, its kernels chosen on validation images.
    """

    name: str
    model: str
    options: tuple[str, ...] = ()
    crf: bool = False


@dataclass(frozen=True, kw_only=True)
class Question:
    """Sides of which the first is the base.

    Attributes:
        name: Short.
        published: What the papers measured.
        sides: The base first, or each side's base by name in ``bases``.
        data: A row of ``SETS``.
        bases: Another base than the first, by the name of the side.
    """

    name: str
    published: str
    sides: tuple[Side, ...]
    data: str = "camvid"
    bases: Mapping[str, str] | None = None


SETS: Mapping[str, StepSet] = {
    "camvid": StepSet(size=128, epochs=6, batch=4, lr=0.02, warmup=30, has_weights=True, split="test"),
    "isbi": StepSet(size=128, epochs=24, batch=8, lr=0.04, warmup=10, has_weights=False, split="val"),
}

V3, V3_PLUS = "deeplab_v3_mobilenet_v2", "deeplab_v3_plus_mobilenet_v2"
COARSE = "fcn_32s_mobilenet_v2"
UNET = "unet_mobilenet_v2"
CUTS = ("--image-size", "256", "--crop", "128")


def pieces(*settings: str) -> tuple[str, ...]:
    """Return the words that change settings of a model."""
    return tuple(word for setting in settings for word in ("--set", setting))


def small_batch(number: int, *, norm: str) -> tuple[str, ...]:
    """Return the words of a batch size, with the rate in proportion, and of a norm; as many images are shown."""
    words = ("--batch-size", str(number), "--lr", str(SETS["isbi"].lr * number / SETS["isbi"].batch))
    return words if norm == "batch" else (*words, "--norm", norm)


QUESTIONS: tuple[Question, ...] = (
    Question(
        name="Skip connections",
        published="FCN on VGG-16, VOC 2011: 32s 59.4 → 16s 62.4 → 8s 62.7 mIoU (Long et al. 2015, table 2)",
        sides=tuple(Side(name=f"FCN-{stride}s", model=f"fcn_{stride}s_mobilenet_v2") for stride in (32, 16, 8)),
    ),
    Question(
        name="Output stride",
        published="ResNet-50, VOC 2012: stride 32 70.06, 16 73.88, 8 75.18 (Chen et al. 2017, table 1)",
        sides=tuple(
            Side(name=f"DeepLabv3, stride {stride}", model=V3, options=pieces(f"output_stride={stride}"))
            for stride in (32, 16, 8)
        ),
    ),
    Question(
        name="Atrous pyramid and image pooling",
        published="multi-grid alone 73.45, with the pyramid 76.58, with image pooling, too, 77.21 (Chen et al. 2017)",
        sides=(
            Side(
                name="neither",
                model=V3,
                options=pieces("output_stride=16", "rates=[]", "image_pooling=false"),
            ),
            Side(
                name="pyramid (6, 12, 18)",
                model=V3,
                options=pieces("output_stride=16", "image_pooling=false"),
            ),
            Side(name="pyramid and image pooling", model=V3, options=pieces("output_stride=16")),
        ),
    ),
    Question(
        name="Decoder",
        published="ResNet-101, stride 16: 77.21 → 78.85 (Chen et al. 2018, table 3)",
        sides=(
            Side(name="DeepLabv3", model=V3, options=pieces("output_stride=16")),
            Side(name="DeepLabv3+", model=V3_PLUS),
        ),
    ),
    Question(
        name="Dense CRF on a coarse and on a fine net",
        published="DeepLab-LargeFOV 62.25 → 67.64 (+5.4; Chen et al. 2014); DeepLabv3 needs none",
        sides=(
            Side(name="FCN-32s", model=COARSE),
            Side(name="FCN-32s and CRF", model=COARSE, crf=True),
            Side(name="DeepLabv3+", model=V3_PLUS),
            Side(name="DeepLabv3+ and CRF", model=V3_PLUS, crf=True),
        ),
        bases={"DeepLabv3+ and CRF": "DeepLabv3+"},
    ),
    Question(
        name="Weights for rare classes",
        published="SegNet balances by median frequency: the mean accuracy of classes rises, that of pixels falls; FCN "
        "found that it does not need to",
        sides=(
            Side(name="none", model=V3_PLUS),
            Side(name="root of the inverse", model=V3_PLUS, options=("--class-weights", "inverse_sqrt")),
            Side(name="median frequency", model=V3_PLUS, options=("--class-weights", "median_frequency")),
        ),
    ),
    Question(
        name="Ignoring a band about borders",
        published="usual for VOC, whose border band of 5 px is void in training and in measuring",
        sides=(
            Side(name="no band", model=V3_PLUS),
            Side(name="1 px on both sides", model=V3_PLUS, options=("--ignored-band", "1")),
        ),
    ),
    Question(
        name="Class-balanced cuts",
        published="no figure alone",
        sides=(
            Side(name="cuts of 128 px out of 256, anywhere", model=V3_PLUS, options=CUTS),
            Side(
                name="half of them about a class that was drawn evenly",
                model=V3_PLUS,
                options=(*CUTS, "--balanced-crops", "0.5"),
            ),
        ),
    ),
    Question(
        name="Batch norm and group norm in small batches (random weights)",
        published="ResNet-50, ImageNet, error: batch norm 23.6 at 32 images for each device, 34.7 at 2; group norm "
        "24.1 and 24.1 (Wu and He 2018, table 2); DeepLabv3's mIoU at batches of 4, 8, 16: 64.43, 75.76, 77.21",
        data="isbi",
        sides=(
            Side(name="batch norm, 8 images", model=UNET, options=small_batch(8, norm="batch")),
            Side(name="batch norm, 1 image", model=UNET, options=small_batch(1, norm="batch")),
            Side(name="group norm, 8 images", model=UNET, options=small_batch(8, norm="group")),
            Side(name="group norm, 1 image", model=UNET, options=small_batch(1, norm="group")),
        ),
        bases={"group norm, 1 image": "batch norm, 1 image"},
    ),
)
