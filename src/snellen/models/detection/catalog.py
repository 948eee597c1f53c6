"""The detectors that exist, by name, in the order of the papers."""

from functools import partial

from snellen.models.detection.alternating import faster_rcnn_mobilenet_v2_c4_alternating
from snellen.models.detection.fast_rcnn import fast_rcnn_caffenet, fast_rcnn_mobilenet_v2, fast_rcnn_vgg16
from snellen.models.detection.faster_rcnn import (
    faster_rcnn_mobilenet_v2_c4,
    faster_rcnn_mobilenet_v2_fpn,
    faster_rcnn_r18_fpn,
    faster_rcnn_r50_c4,
    faster_rcnn_r50_fpn,
    faster_rcnn_vgg16,
    faster_rcnn_zf,
)
from snellen.models.detection.hog_svm import hog_svm
from snellen.models.detection.mask_rcnn import mask_rcnn_mobilenet_v2_fpn, mask_rcnn_r18_fpn, mask_rcnn_r50_fpn
from snellen.models.detection.rcnn import rcnn_alexnet, rcnn_mobilenet_v2, rcnn_vgg16
from snellen.models.detection.retinanet import retinanet_mobilenet_v2_fpn, retinanet_r18_fpn, retinanet_r50_fpn
from snellen.models.detection.sppnet import sppnet_mobilenet_v2, sppnet_vgg16, sppnet_zf
from snellen.models.detection.ssd import ssd300, ssd512, ssd_mobilenet_v2
from snellen.models.detection.yolo_v1 import yolo_v1, yolo_v1_mobilenet_v2, yolo_v1_tiny
from snellen.models.detection.yolo_v2 import yolo_v2, yolo_v2_mobilenet_v2, yolo_v2_tiny
from snellen.models.detection.yolo_v3 import yolo_v3, yolo_v3_mobilenet_v2, yolo_v3_tiny
from snellen.models.entry import ModelEntry
from snellen.structures import BoxTarget

__all__ = ["DETECTORS"]

_SMALL = (320, 320)  # of torchvision's mobile detectors
_VOC_SIZE = (608, 1008)  # shorter side 600, longer at most 1000 (Ren et al. 2015, section 3.3), in multiples of 16
_COCO_SIZE = (800, 1344)  # shorter side 800, longer at most 1333, as in the papers; in multiples of 32
# Tried on small data with MobileNetV2: after 100 steps YOLOv2 has an AP of 0.15, with SGD at 0.01 of 0.005. RetinaNet
# and YOLOv2 end 0.01 to 0.03 above what they reach at 3e-4, though their coarsest maps fall silent; YOLOv3 0.1 below.
_ADAMW = ("adamw", 1e-3)
_DETECTOR = partial(ModelEntry, target_type=BoxTarget, licence="Apache-2.0")
_HOG_SVM = partial(
    _DETECTOR,
    page="hog_svm",
    paper="https://doi.org/10.1109/CVPR.2005.177",
    default_size=_SMALL,
)
_RCNN = partial(
    _DETECTOR,
    page="rcnn",
    paper="https://arxiv.org/abs/1311.2524",
    regions=True,
    tuned=("sgd", 1e-3),  # section 2.3; ten times as much destroys what the weights know
)
_SPPNET = partial(
    _DETECTOR, page="sppnet", paper="https://arxiv.org/abs/1406.4729", regions=True, presumes_weights=True
)
_FAST_RCNN = partial(_DETECTOR, page="fast_rcnn", paper="https://arxiv.org/abs/1504.08083", regions=True)
_FASTER_RCNN = partial(_DETECTOR, page="faster_rcnn", paper="https://arxiv.org/abs/1506.01497")
_FPN = partial(_DETECTOR, page="faster_rcnn", paper="https://arxiv.org/abs/1612.03144")
_MASK_RCNN = partial(_DETECTOR, page="mask_rcnn", paper="https://arxiv.org/abs/1703.06870", masks=True)
_YOLO_V1 = partial(
    _DETECTOR,
    page="yolo_v1",
    paper="https://arxiv.org/abs/1506.02640",
    resize="square",
    sized=True,
    tuned=("adamw", 5e-5),  # at 3e-4 its fully connected layers silence the features beneath them
    default_size=(448, 448),
)
_YOLO_V2 = partial(
    _DETECTOR,
    page="yolo_v2",
    paper="https://arxiv.org/abs/1612.08242",
    resize="letterbox",
    num_anchors=5,
    multi_scale=(320 / 416, 608 / 416),  # section 2
    tuned=_ADAMW,
    default_size=(416, 416),
)
_YOLO_V3 = partial(
    _DETECTOR,
    page="yolo_v3",
    paper="https://arxiv.org/abs/1804.02767",
    resize="letterbox",
    num_anchors=9,
    multi_scale=(320 / 416, 608 / 416),
    tuned=("adamw", 3e-4),
    default_size=(416, 416),
)
_SSD = partial(
    _DETECTOR,
    page="ssd",
    paper="https://arxiv.org/abs/1512.02325",
    resize="square",
    sized=True,
    augmentation="ssd",
    tuned=("adamw", 1e-4),  # nothing brings the maps behind the backbone to one scale
)
_RETINANET = partial(_DETECTOR, page="retinanet", paper="https://arxiv.org/abs/1708.02002", tuned=_ADAMW)

DETECTORS: tuple[ModelEntry, ...] = (
    _HOG_SVM(name="hog_svm", build=hog_svm, summary="gradient histograms and a linear SVM: before networks"),
    _RCNN(
        name="rcnn_alexnet",
        build=rcnn_alexnet,
        summary="R-CNN with AlexNet: one network for each region, as first published",
        default_size=_VOC_SIZE,
    ),
    _RCNN(
        name="rcnn_vgg16",
        build=rcnn_vgg16,
        summary="R-CNN with VGG16: its most accurate and slowest form",
        default_size=_VOC_SIZE,
    ),
    _RCNN(
        name="rcnn_mobilenet_v2",
        build=rcnn_mobilenet_v2,
        summary="R-CNN with MobileNetV2 on small crops: trains on a CPU",
        default_size=_SMALL,
    ),
    _SPPNET(
        name="sppnet_zf",
        build=sppnet_zf,
        summary="SPPNet with ZF: one map, a pyramid of bins for each region",
        default_size=_VOC_SIZE,
    ),
    _SPPNET(name="sppnet_vgg16", build=sppnet_vgg16, summary="SPPNet with VGG16", default_size=_VOC_SIZE),
    _SPPNET(
        name="sppnet_mobilenet_v2",
        build=sppnet_mobilenet_v2,
        summary="SPPNet with MobileNetV2: trains on a CPU",
        default_size=_SMALL,
    ),
    _FAST_RCNN(
        name="fast_rcnn_caffenet",
        build=fast_rcnn_caffenet,
        summary="Fast R-CNN with CaffeNet, the paper's small network",
        default_size=_VOC_SIZE,
    ),
    _FAST_RCNN(
        name="fast_rcnn_vgg16",
        build=fast_rcnn_vgg16,
        summary="Fast R-CNN with VGG16: classes and boxes trained together",
        default_size=_VOC_SIZE,
    ),
    _FAST_RCNN(
        name="fast_rcnn_mobilenet_v2",
        build=fast_rcnn_mobilenet_v2,
        summary="Fast R-CNN with MobileNetV2: trains on a CPU",
        default_size=_SMALL,
    ),
    _FASTER_RCNN(
        name="faster_rcnn_zf",
        build=faster_rcnn_zf,
        summary="Faster R-CNN with ZF: the first paper's quick form",
        default_size=_VOC_SIZE,
    ),
    _FASTER_RCNN(
        name="faster_rcnn_vgg16",
        build=faster_rcnn_vgg16,
        summary="Faster R-CNN with VGG16: as in the first paper",
        default_size=_VOC_SIZE,
    ),
    _FASTER_RCNN(
        name="faster_rcnn_r50_c4",
        build=faster_rcnn_r50_c4,
        summary="Faster R-CNN on one map of ResNet-50, with RoIPool",
        default_size=_COCO_SIZE,
    ),
    _FASTER_RCNN(
        name="faster_rcnn_mobilenet_v2_c4",
        build=faster_rcnn_mobilenet_v2_c4,
        summary="Faster R-CNN on one map of MobileNetV2: trains on a CPU",
        default_size=_SMALL,
    ),
    _FASTER_RCNN(
        name="faster_rcnn_mobilenet_v2_c4_alternating",
        build=faster_rcnn_mobilenet_v2_c4_alternating,
        summary="the same, trained in the paper's four alternating steps",
        default_size=_SMALL,
    ),
    _FPN(
        name="faster_rcnn_r18_fpn",
        build=faster_rcnn_r18_fpn,
        summary="Faster R-CNN with ResNet-18 and a feature pyramid: a good first choice",
        default_size=_COCO_SIZE,
    ),
    _FPN(
        name="faster_rcnn_r50_fpn",
        build=faster_rcnn_r50_fpn,
        summary="Faster R-CNN with ResNet-50 and a feature pyramid: the usual yardstick",
        default_size=_COCO_SIZE,
    ),
    _FPN(
        name="faster_rcnn_mobilenet_v2_fpn",
        build=faster_rcnn_mobilenet_v2_fpn,
        summary="Faster R-CNN with MobileNetV2 and a feature pyramid: small and quick on a CPU",
        default_size=_SMALL,
    ),
    _MASK_RCNN(
        name="mask_rcnn_r18_fpn",
        build=mask_rcnn_r18_fpn,
        summary="Mask R-CNN with ResNet-18: boxes and outlines",
        default_size=_COCO_SIZE,
    ),
    _MASK_RCNN(
        name="mask_rcnn_r50_fpn",
        build=mask_rcnn_r50_fpn,
        summary="Mask R-CNN with ResNet-50: the usual yardstick",
        default_size=_COCO_SIZE,
    ),
    _MASK_RCNN(
        name="mask_rcnn_mobilenet_v2_fpn",
        build=mask_rcnn_mobilenet_v2_fpn,
        summary="Mask R-CNN with MobileNetV2: trains on a CPU",
        default_size=_SMALL,
    ),
    _YOLO_V1(name="yolo_v1", build=yolo_v1, summary="YOLOv1: one look, a grid of 7 × 7 cells, no anchors"),
    _YOLO_V1(name="yolo_v1_tiny", build=yolo_v1_tiny, summary="Fast YOLO: nine convolutions"),
    _YOLO_V1(
        name="yolo_v1_mobilenet_v2",
        build=yolo_v1_mobilenet_v2,
        summary="YOLOv1 on MobileNetV2: trains on a CPU",
        default_size=(224, 224),
    ),
    _YOLO_V2(name="yolo_v2", build=yolo_v2, summary="YOLOv2 on Darknet-19: anchors from your boxes"),
    _YOLO_V2(name="yolo_v2_tiny", build=yolo_v2_tiny, summary="Tiny YOLOv2"),
    _YOLO_V2(
        name="yolo_v2_mobilenet_v2",
        build=yolo_v2_mobilenet_v2,
        summary="YOLOv2 on MobileNetV2: trains on a CPU",
        default_size=_SMALL,
    ),
    _YOLO_V3(name="yolo_v3", build=yolo_v3, summary="YOLOv3 on Darknet-53: three scales, independent classes"),
    _YOLO_V3(name="yolo_v3_tiny", build=yolo_v3_tiny, summary="Tiny YOLOv3: two scales", num_anchors=6),
    _YOLO_V3(
        name="yolo_v3_mobilenet_v2",
        build=yolo_v3_mobilenet_v2,
        summary="YOLOv3 on MobileNetV2: trains on a CPU",
        default_size=_SMALL,
    ),
    _SSD(
        name="ssd300",
        build=ssd300,
        summary="SSD at 300 px on VGG16: heads on six maps",
        default_size=(300, 300),
    ),
    _SSD(name="ssd512", build=ssd512, summary="SSD at 512 px on VGG16: heads on seven maps", default_size=(512, 512)),
    _SSD(
        name="ssd_mobilenet_v2",
        build=ssd_mobilenet_v2,
        summary="SSD on MobileNetV2: trains on a CPU",
        default_size=_SMALL,
    ),
    _RETINANET(
        name="retinanet_r18_fpn",
        build=retinanet_r18_fpn,
        summary="RetinaNet with ResNet-18: one stage, focal loss",
        default_size=_COCO_SIZE,
    ),
    _RETINANET(
        name="retinanet_r50_fpn",
        build=retinanet_r50_fpn,
        summary="RetinaNet with ResNet-50: the usual yardstick",
        default_size=_COCO_SIZE,
    ),
    _RETINANET(
        name="retinanet_mobilenet_v2_fpn",
        build=retinanet_mobilenet_v2_fpn,
        summary="RetinaNet with MobileNetV2: trains on a CPU",
        default_size=_SMALL,
    ),
)
