"""What each step of the ladder bought: which trainings and which switches are compared, and what was published."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["QUESTIONS", "Question", "Variant"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One side of a comparison.

    Attributes:
        name: In the table.
        model: That is trained.
        options: Further words of ``snellen train``; equal words mean the same training, done once.
        switches: Attributes of the trained model that are changed before it is measured, by dotted path.
    """

    name: str
    model: str
    options: tuple[str, ...] = ()
    switches: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Question:
    """Variants of which the first is the base.

    Attributes:
        name: Short.
        published: What the paper measured.
        variants: The base first.
        set: Data set that it needs; None for the one that the command names.
        size: Short side of its images in pixels; None for the one that the command names.
        remark: Where the figures disagree with what was published, and why.
    """

    name: str
    published: str
    variants: tuple[Variant, ...]
    set: str | None = None
    size: int | None = None
    remark: str = ""


SEARCH = ("--proposals", "single")
RETINANET = "retinanet_mobilenet_v2_fpn"
SSD = "ssd_mobilenet_v2"
FAST = "fast_rcnn_mobilenet_v2"
FPN = "faster_rcnn_mobilenet_v2_fpn"
SPPNET = "sppnet_mobilenet_v2"
V1, V2 = "yolo_v1_mobilenet_v2", "yolo_v2_mobilenet_v2"
NOT_TUNED = ("--lr", "1e-9")
LONG = ("--epochs", "16")  # a step of a dense detector costs a quarter of a step of a pyramid of regions
LONGER = ("--epochs", "8")
# At the usual 1e-3 the last map falls silent: without passthrough AP50 is 0.02, and at 3e-4 0.24.
GENTLE = (*LONG, "--lr", "0.0003")
HAND_MADE = "anchors=[[32,32],[64,32],[32,64],[96,96],[160,160]]"
SUPPRESSION = "settings.selection.suppression"

QUESTIONS: tuple[Question, ...] = (
    Question(
        name="Box regression, SVM or softmax (SPPNet)",
        published="R-CNN: box regression +4.3 (AlexNet), +3.8 (VGG16); softmax in place of the SVMs −3.3",
        variants=(
            Variant(name="SVM and box regression", model=SPPNET, options=SEARCH),
            Variant(
                name="SVM, no box regression", model=SPPNET, options=SEARCH, switches={"use_box_regression": False}
            ),
            Variant(name="softmax and box regression", model=SPPNET, options=SEARCH, switches={"head": "softmax"}),
        ),
    ),
    Question(
        name="Fine-tuning (SPPNet: the fully connected layers)",
        published="R-CNN: +9.5 on fc7, +3.1 on pool5 (no fine-tuning is worth 8 points against the best features)",
        remark=(
            "Far below R-CNN's figure: SPPNet tunes the fully connected layers alone, which begin at random here, and "
            "a random projection of MobileNetV2's features serves SVMs nearly as well as four epochs over 205 images "
            "do."
        ),
        variants=(
            Variant(name="fine-tuned", model=SPPNET, options=SEARCH),
            Variant(name="not fine-tuned", model=SPPNET, options=(*SEARCH, *NOT_TUNED)),
        ),
    ),
    Question(
        name="Hard negative mining (SPPNet's SVMs)",
        published="no figure in R-CNN; one pass is enough",
        variants=(
            Variant(name="mined", model=SPPNET, options=SEARCH),
            Variant(
                name="2000 random negatives",
                model=SPPNET,
                options=(*SEARCH, "--set", "region_head.fitting.mining.is_mining=false"),
            ),
        ),
    ),
    Question(
        name="RoIAlign over RoIPool, by stride (Fast R-CNN)",
        set="pennfudan",  # people of a hundred pixels: the cells of bccd are smaller than one of stride 32
        size=224,
        published="Mask R-CNN: boxes +5.8 at stride 32; masks +3.4 at stride 16, +7.3 at stride 32",
        remark=(
            "Beside RoIPool of the same stride RoIAlign gains 9.3 points of AP50 at stride 16 and 7.8 at stride 32: "
            "not more in points, for at stride 32 four epochs over 120 images hardly teach anything, but 1.6 times "
            "against 1.3 times."
        ),
        variants=tuple(
            Variant(
                name=f"{pooling}, stride {stride}",
                model=FAST,
                options=(*SEARCH, "--set", f"feature={feature}", "--set", f"pooling={pooling}"),
            )
            for feature, stride in (("c4", 16), ("c5", 32))
            for pooling in ("roi_pool", "roi_align", "prroi_pool")
        ),
    ),
    Question(
        name="From YOLOv1 to YOLOv2",
        published="63.4 → anchors 69.2 (with batch norm and 448 px) → clusters and direct location +4.8 → "
        "passthrough +1.0 → multi-scale +1.4",
        remark=(
            "Passthrough is worth twenty points where one was published: at 160 px most cells of blood are smaller "
            "than one cell of stride 32, and only the finer map tells them apart. Anchors by hand gain nothing: they "
            "do not fit such boxes. Sixteen epochs are too few for several scales to pay."
        ),
        variants=(
            Variant(name="YOLOv1", model=V1, options=LONG),
            Variant(
                name="+ anchors by hand, offsets",
                model=V2,
                options=(*GENTLE, "--set", HAND_MADE, "--set", "location=offset", "--set", "passthrough=false"),
            ),
            Variant(
                name="+ clusters, direct location",
                model=V2,
                options=(*GENTLE, "--set", "passthrough=false"),
            ),
            Variant(name="+ passthrough", model=V2, options=GENTLE),
            Variant(name="+ multi-scale", model=V2, options=(*GENTLE, "--multi-scale")),
        ),
    ),
    Question(
        name="SSD's augmentation, maps and mining",
        published="augmentation +8.8; heads on all maps against one +11.9",
        remark=(
            "The paper's augmentation harms: sixteen epochs are too few for it (the paper's were above two hundred), "
            "and its effect scatters over seeds."
        ),
        variants=(
            Variant(name="all maps, no augmentation", model=SSD, options=(*LONG, "--augment", "0")),
            Variant(name="the paper's augmentation", model=SSD, options=(*LONG, "--augment", "0.5")),
            Variant(name="one map (stride 16)", model=SSD, options=(*LONG, "--augment", "0", "--set", "maps=[1]")),
            Variant(
                name="all negatives, no mining",
                model=SSD,
                options=(*LONG, "--augment", "0", "--set", "head.settings.negative_ratio=null"),
            ),
        ),
    ),
    Question(
        name="Focal loss, α-balanced cross-entropy, OHEM (RetinaNet)",
        published="focal 34.0, best α-balanced cross-entropy 31.1 (−2.9); ResNet-101: focal 36.0, OHEM 32.8 (−3.2)",
        remark=(
            "Focal loss is not ahead: a dozen objects stand among some 5000 anchors of a small image, where the paper "
            "had one hundred thousand, and eight epochs reward a loss with larger gradients. The intervals hold zero."
        ),
        variants=(
            Variant(name="focal, γ = 2, α = 0.25", model=RETINANET, options=LONGER),
            Variant(
                name="cross-entropy, α = 0.75",
                model=RETINANET,
                options=(
                    *LONGER,
                    "--set",
                    "head.settings.classification=alpha_ce",
                    "--set",
                    "head.settings.alpha=0.75",
                ),
            ),
            Variant(
                name="OHEM, 128 hardest",
                model=RETINANET,
                options=(*LONGER, "--set", "head.settings.classification=ohem"),
            ),
        ),
    ),
    Question(
        name="OHEM in a detector of two stages, on one map and on a pyramid",
        published="Fast R-CNN, VGG16: +2.7; Faster R-CNN, FPN: +0.2",
        remark=(
            "As published, what is gained on one map (18.3) vanishes on a pyramid (0.2). It is more than published: "
            "OHEM also judges the easy background below IoU 0.1, which Fast R-CNN's random sample leaves out, and 205 "
            "images teach that little."
        ),
        variants=(
            Variant(name="Fast R-CNN, one map, random sample", model=FAST, options=SEARCH),
            Variant(
                name="Fast R-CNN, one map, OHEM",
                model=FAST,
                options=(*SEARCH, "--set", "settings.mining=ohem", "--set", "settings.negative_from=0.0"),
            ),
            Variant(name="Faster R-CNN, FPN, random sample", model=FPN),
            Variant(name="Faster R-CNN, FPN, OHEM", model=FPN, options=("--set", "settings.mining=ohem")),
        ),
    ),
    Question(
        name="Soft suppression on crowded images (Faster R-CNN, FPN)",
        published="VOC +1.7, COCO +1.1 (AP)",
        variants=(
            Variant(name="hard, IoU 0.5", model=FPN),
            Variant(name="soft, linear", model=FPN, switches={SUPPRESSION: "soft_linear"}),
            Variant(name="soft, Gaussian", model=FPN, switches={SUPPRESSION: "soft_gaussian"}),
            Variant(name="hard, with box voting", model=FPN, switches={"settings.selection.voting_iou": 0.5}),
        ),
    ),
)
