"""The two wide fully connected layers of VGG and AlexNet, as a part of its own for detectors that judge regions."""

from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["ALEXNET_POOLED", "VGG_POOLED", "FcPair", "fc_pair_names"]

VGG_POOLED = 7  # rows and columns of the map that fc6 reads; Simonyan & Zisserman 2014, table 1 (224 / 32)
ALEXNET_POOLED = 6  # pool5 of AlexNet, CaffeNet and ZF

_INITIAL_SPREAD = 0.01  # of the weights; torchvision's VGG

_PLACES = {"vgg": (0, 3), "alexnet": (1, 4)}  # of the two layers in torchvision's ``classifier``


class FcPair(nn.Module):
    """``fc6`` and ``fc7``: linear, ReLU and dropout, twice.

    Args:
        in_features: Channels × rows × columns of what is read: 512 × 7 × 7 for VGG, 256 × 6 × 6 for AlexNet.
        width: Of fc6.
        out_features: Of fc7; None for ``width``. VGG_CNN_M_1024 has 1024.
        dropout: Share of the values that training sets to zero.

    Attributes:
        out_features: Width of what ``forward`` returns.

    Source:
        Simonyan & Zisserman 2014, table 1, https://arxiv.org/abs/1409.1556; Krizhevsky et al. 2012. The order
        is Caffe's, which R-CNN and Fast R-CNN fine-tuned. Differs from torchvision's AlexNet, which drops
        before each linear layer instead of after its activation.
    """

    def __init__(
        self, in_features: int, *, width: int = 4096, out_features: int | None = None, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.out_features = width if out_features is None else out_features
        self.fc6 = nn.Linear(in_features, width)
        self.fc7 = nn.Linear(width, self.out_features)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.fc6, self.fc7):
            nn.init.normal_(layer.weight, std=_INITIAL_SPREAD)
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Float[Tensor, "num_regions *features"]) -> Float[Tensor, "num_regions out_features"]:
        """Return fc7 after its activation (in training after its dropout)."""
        hidden = self.dropout(self.relu(self.fc6(pooled.flatten(1))))
        result: Tensor = self.dropout(self.relu(self.fc7(hidden)))
        return result


def fc_pair_names(family: str, prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Return the rules for ``foreign_names`` that bring torchvision's classifier into an ``FcPair``.

    Args:
        family: ``"vgg"`` or ``"alexnet"``.
        prefix: Where the pair lies in the model, with the dot: ``"region_head.fc."``.
    """
    first, second = _PLACES[family]
    return (
        (rf"^classifier\.{first}\.", f"{prefix}fc6."),
        (rf"^classifier\.{second}\.", f"{prefix}fc7."),
    )
