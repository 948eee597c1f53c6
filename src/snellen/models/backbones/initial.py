"""How the weights of convolutions begin."""

from torch import nn

__all__ = ["he_fan_out"]


def he_fan_out(network: nn.Module) -> None:
    """Draw the weights of every convolution with the variance ``2 / (kernel² × channels of the output)``.

    Biases of convolutions begin at 0; norms are left at scale 1 and shift 0, as they are made.

    Source:
        He et al. 2015, eq. 14, https://arxiv.org/abs/1502.01852; torchvision draws its networks so.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
