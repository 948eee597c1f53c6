"""Transforms that change what things look like, but not where they are."""

from torchvision.transforms import v2

from snellen.data.transforms.transform import TorchvisionTransform, Transform

__all__ = ["colour_jitter", "gaussian_blur", "photometric_distort"]


def photometric_distort(strength: float = 1.0) -> Transform:
    """Return a transform that varies brightness, contrast, saturation and hue, each with probability 0.5.

    Args:
        strength: 1 gives the ranges of the paper, 0 leaves the image as it is.

    Source:
        Liu et al. 2016, "SSD", section 2.2. Differs: the channels are never permuted.
    """
    low, high = 1 - 0.5 * strength, 1 + 0.5 * strength
    changes = (
        v2.ColorJitter(brightness=(1 - 0.125 * strength, 1 + 0.125 * strength)),
        v2.ColorJitter(contrast=(low, high)),
        v2.ColorJitter(saturation=(low, high)),
        v2.ColorJitter(hue=0.05 * strength),
    )
    return TorchvisionTransform(v2.Compose([v2.RandomApply([change], p=0.5) for change in changes]))


def colour_jitter(*, brightness: float, contrast: float, saturation: float, hue: float = 0.0) -> Transform:
    """Return a transform that varies the colours of every image, each by a share drawn from ±its argument."""
    return TorchvisionTransform(
        v2.ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
    )


def gaussian_blur(*, sigma_px: tuple[float, float]) -> Transform:
    """Return a transform that blurs by a standard deviation drawn from a range, in pixels."""
    reach = 2 * int(3 * sigma_px[1] + 0.5) + 1  # three standard deviations to either side
    return TorchvisionTransform(v2.GaussianBlur(reach, sigma=sigma_px))
