"""The networks of the first YOLO, up to the last convolution; their stride is 64."""

from torch import nn

from snellen.models.backbones.darknet import Conv, Darknet, Pool, Row
from snellen.nn import Norm

__all__ = ["fast_yolo_net", "yolo_v1_net"]

_YOLO: tuple[tuple[Row, ...], ...] = (
    (Conv(64, 7, 2),),
    (Pool(), Conv(192)),
    (Pool(), Conv(128, 1), Conv(256), Conv(256, 1), Conv(512)),
    (Pool(), *(Conv(256, 1), Conv(512)) * 4, Conv(512, 1), Conv(1024)),
    # The first four of these end the 20 convolutions that were trained on ImageNet.
    (Pool(), *(Conv(512, 1), Conv(1024)) * 2, Conv(1024)),
    (Conv(1024, stride=2), Conv(1024), Conv(1024)),
)

_FAST_YOLO: tuple[tuple[Row, ...], ...] = (
    (Conv(16), Pool(), Conv(32)),
    (Pool(), Conv(64)),
    (Pool(), Conv(128)),
    (Pool(), Conv(256)),
    (Pool(), Conv(512)),
    (Pool(), Conv(1024), Conv(1024), Conv(1024)),
)

_FAST_YOLO_CFG = (*_FAST_YOLO[:-1], (Pool(), Conv(1024), Conv(256)))


def yolo_v1_net(*, norm: Norm | None = nn.BatchNorm2d) -> Darknet:
    """Return the 24 convolutions of YOLO; ``c6`` is 7×7 at 448 px.

    Args:
        norm: Makes a norm layer from the number of channels, as in cfg/yolov1.cfg; None for the network of the
            paper, which has none.

    Source:
        Redmon et al. 2016, figure 3, https://arxiv.org/abs/1506.02640; cfg/yolov1.cfg of
        https://github.com/pjreddie/darknet, layers 0 to 27.
    """
    return Darknet(_YOLO, norm=norm)


def fast_yolo_net(*, norm: Norm | None = nn.BatchNorm2d, as_paper: bool = False) -> Darknet:
    """Return the convolutions of Fast YOLO; ``c6`` is 7×7 at 448 px.

    Args:
        norm: Makes a norm layer from the number of channels, as in cfg/yolov1-tiny.cfg; None for the network of
            the paper, which has none.
        as_paper: True for the paper's nine convolutions, of which the last three have 1024 channels and which
            fully connected layers of 256 and 4096 follow. False for the eight of today's cfg/yolov1-tiny.cfg,
            of which the last has 256 channels and which only the output layer follows.

    Source:
        Redmon et al. 2016, section 2.1, https://arxiv.org/abs/1506.02640. The paper names only the number of the
        convolutions; the channels are those of the cfg/yolo-tiny.cfg of its time in
        https://github.com/pjreddie/darknet.
    """
    return Darknet(_FAST_YOLO if as_paper else _FAST_YOLO_CFG, norm=norm)
