"""The classifier of Darknet-19 and Darknet-53, which reads darknet's weights."""

from snellen.models.classification.heads import MeanHead
from snellen.models.darknet_files import DarknetLayer

__all__ = ["DarknetHead"]


class DarknetHead(MeanHead):
    """Global average pooling and a linear layer, darknet's last 1×1 convolution.

    Darknet-19 convolves before it takes the mean and Darknet-53 behind it; without an activation that is the same.

    Args:
        feature: The map that is read.
        num_outputs: Numbers for each image.
        dropout: Probability of dropping a channel before the linear layer, in training.

    Source:
        cfg/darknet19.cfg and cfg/darknet53.cfg of https://github.com/pjreddie/darknet.
    """

    def darknet_layers(self) -> tuple[DarknetLayer, ...]:
        """Return the linear layer as it stands behind those of the backbone in darknet's files."""
        return (DarknetLayer(name="linear", shape=tuple(self.linear.weight.shape), outputs_per_class=1),)
