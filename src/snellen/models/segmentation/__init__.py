"""Networks that give every pixel a class."""

from snellen.models.segmentation.decoding import segmentation_map
from snellen.models.segmentation.unet import DECODER_CHANNELS, SegmentationOutput, UNet

__all__ = ["DECODER_CHANNELS", "SegmentationOutput", "UNet", "segmentation_map"]
