"""Networks that give every pixel a class."""

from snellen.models.segmentation.answer import PixelAnswer
from snellen.models.segmentation.context import AtrousPyramid, ImagePooling, PyramidPooling, usual_rates
from snellen.models.segmentation.decoding import segmentation_maps
from snellen.models.segmentation.deeplab import DetailDecoder, deeplab_v3, deeplab_v3_plus, pspnet
from snellen.models.segmentation.fcn import ScoreFusion, dilated_fcn, skip_fcn
from snellen.models.segmentation.lraspp import LiteContext, LiteFusion, lraspp
from snellen.models.segmentation.objective import PIXEL_WEIGHTINGS, PixelObjective, pixel_class_weights
from snellen.models.segmentation.segmenter import (
    Context,
    Decoder,
    FcnHead,
    PixelModel,
    SegmentationOutput,
    Segmenter,
)
from snellen.models.segmentation.segnet import Unpooling, segnet
from snellen.models.segmentation.unet import DECODER_CHANNELS, UNetDecoder, unet
from snellen.models.segmentation.unet_paper import UNetPaper

__all__ = [
    "DECODER_CHANNELS",
    "PIXEL_WEIGHTINGS",
    "AtrousPyramid",
    "Context",
    "Decoder",
    "DetailDecoder",
    "FcnHead",
    "ImagePooling",
    "LiteContext",
    "LiteFusion",
    "PixelAnswer",
    "PixelModel",
    "PixelObjective",
    "PyramidPooling",
    "ScoreFusion",
    "SegmentationOutput",
    "Segmenter",
    "UNetDecoder",
    "UNetPaper",
    "Unpooling",
    "deeplab_v3",
    "deeplab_v3_plus",
    "dilated_fcn",
    "lraspp",
    "pixel_class_weights",
    "pspnet",
    "segmentation_maps",
    "segnet",
    "skip_fcn",
    "unet",
    "usual_rates",
]
