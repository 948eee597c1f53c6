"""The branch that outlines an object within its region."""

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.models.detection.rpn import at_least_float32

__all__ = ["MaskHead"]

NUM_CONVS = 4
# Of the weights of the last layer at first, so that every pixel begins near 0.5. He's rule by fan-out (torchvision's)
# gives them a spread of 1 where there is one class: logits of several units, whose losses drown the others.
LOGITS_STD = 0.001


class MaskHead(nn.Module):
    """Four convolutions, one transposed convolution, and one map for each class.

    Each class has a mask of its own, and none competes with another: what an object is, the box head says. So only the
    map of the class that is asked for is computed.

    Args:
        channels: Of the pooled features.
        num_classes: Without background.
        width: Depth of the branch; 256 in the paper.

    Source:
        He et al. 2017 (Mask R-CNN), section 3 and figure 4 (right), https://arxiv.org/abs/1703.06870. The last layer
        keeps a map of the background, which nothing reads, so that torchvision's weights fit.
    """

    def __init__(self, channels: int, num_classes: int, *, width: int = 256) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(channels if number == 0 else width, width, 3, padding=1) for number in range(NUM_CONVS)
        )
        self.deconv = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.logits = nn.Conv2d(width, num_classes + 1, 1)
        for layer in (*self.convs, self.deconv):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.logits.weight, std=LOGITS_STD)
        for layer in (*self.convs, self.deconv, self.logits):
            nn.init.zeros_(layer.bias)

    def forward(
        self, pooled: Float[Tensor, "num_regions channels rows columns"], labels: Int64[Tensor, " num_regions"]
    ) -> Float[Tensor, "num_regions rows*2 columns*2"]:
        """Return the logits of the mask of one class for each region.

        Args:
            pooled: Features.
            labels: 1…K.
        """
        hidden = pooled
        for conv in self.convs:
            hidden = functional.relu_(conv(hidden))
        hidden = functional.relu_(self.deconv(hidden))
        weight = self.logits.weight[:, :, 0, 0][labels]  # [N, width]
        bias = self.logits.bias[labels]  # type: ignore[index]  # it has a bias
        # Regions lie in channels-last memory: their vectors are rows already.
        maps = (hidden.permute(0, 2, 3, 1).flatten(1, 2) @ weight[..., None])[..., 0]
        return at_least_float32(maps.unflatten(1, hidden.shape[2:]) + bias[:, None, None])  # type: ignore[no-untyped-call]
