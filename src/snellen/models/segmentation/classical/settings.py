"""What can be set in classical segmenters: a record for each method."""

from dataclasses import dataclass

from snellen.imaging.segmentation import AdaptiveRule, Channel
from snellen.models.field_checks import AT_LEAST_ONE, NOT_NEGATIVE, POSITIVE, SHARE, Range, check_fields

__all__ = [
    "AdaptiveSettings",
    "AppearanceSettings",
    "CannySettings",
    "ChanVeseSettings",
    "ChoosingSettings",
    "EdgeSettings",
    "FelzenszwalbSettings",
    "GrabCutSettings",
    "GraphCutSettings",
    "GrowingSettings",
    "KmeansSettings",
    "MeanShiftSettings",
    "MultiOtsuSettings",
    "NormalizedCutSettings",
    "SlicSettings",
    "SnakeSettings",
    "SplitMergeSettings",
    "ThresholdSettings",
    "WatershedSettings",
]

_TWO_OR_MORE = Range(lambda value: value >= 2, "a whole number of 2 or more", is_whole=True)
_HALF = Range(lambda value: 0 < value < 0.5, "a number above 0 and below 0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppearanceSettings:
    """What classes look like: mixtures of Gaussians over pixels.

    Attributes:
        texture: Whether edges, ridges and the surroundings of a pixel count beside its colour.
        components: Gaussians of each class.
        sigma_px: Of the Gaussian under which colours are seen, in pixels of the resized image.
        certainty: Probability from which a pixel is a seed of its class.
    """

    texture: bool = True
    components: int = 8
    sigma_px: float = 1.0
    certainty: float = 0.9

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, components=AT_LEAST_ONE, sigma_px=NOT_NEGATIVE, certainty=SHARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoosingSettings:
    """How settings that were left open are chosen.

    Attributes:
        images: Training images on which choices are compared, spread over all.
    """

    images: int = 16

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, images=AT_LEAST_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdSettings:
    """Of one level for the whole image.

    Attributes:
        channel: That is parted.
        sigma_px: Of the Gaussian before.
    """

    channel: Channel = "grey"
    sigma_px: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, sigma_px=NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiOtsuSettings:
    """Of several levels for the whole image.

    Attributes:
        channel: That is parted.
        sigma_px: Of the Gaussian before.
        parts: Sides; one more than levels. The time grows with their power.
    """

    channel: Channel = "grey"
    sigma_px: float = 1.0
    parts: int = 3

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        few = Range(lambda value: 2 <= value <= 5, "a whole number from 2 to 5", is_whole=True)
        check_fields(self, sigma_px=NOT_NEGATIVE, parts=few)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveSettings:
    """Of a level for each place.

    Attributes:
        channel: That is parted.
        sigma_px: Of the Gaussian before.
        rule: What a pixel is compared with.
        window_share: Side of the window as a share of the image's short side.
        offset: What a pixel must have above the level.
    """

    channel: Channel = "grey"
    sigma_px: float = 1.0
    rule: AdaptiveRule = "mean"
    window_share: float = 0.15
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, sigma_px=NOT_NEGATIVE, window_share=POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """Of regions closed from edges.

    Attributes:
        channel: Whose edges.
        sigma_px: Of the Gaussian before; above 0 for ``log``.
        least_share: Of the strongest edge, below which there is none.
        gap_px: Longest gap that is closed, about.
        least_area: Of the smallest region, as a share of the image.
    """

    channel: Channel = "grey"
    sigma_px: float = 1.5
    least_share: float = 0.1
    gap_px: int = 3
    least_area: float = 0.002

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, sigma_px=POSITIVE, least_share=SHARE, gap_px=NOT_NEGATIVE, least_area=SHARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CannySettings:
    """Of regions closed from Canny's edges.

    Attributes:
        channel: Whose edges.
        sigma_px: Of the Gaussian before.
        low_share: Share of the pixels whose gradient is too weak to go on an edge.
        high_share: Share of the pixels whose gradient is too weak to begin one.
        gap_px: Longest gap that is closed, about.
        least_area: Of the smallest region, as a share of the image.
    """

    channel: Channel = "grey"
    sigma_px: float = 1.5
    low_share: float = 0.7
    high_share: float = 0.85
    gap_px: int = 8
    least_area: float = 0.002

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, sigma_px=POSITIVE, low_share=SHARE, high_share=SHARE, gap_px=NOT_NEGATIVE, least_area=SHARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatershedSettings:
    """Of the flooding of the gradient.

    Attributes:
        sigma_px: Of the Gaussian before the gradient.
        depth: Of the shallowest basin that gets a marker where none are given, in levels a pixel.
        compactness: How much distance from the marker counts.
    """

    sigma_px: float = 1.5
    depth: float = 3.0
    compactness: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, sigma_px=NOT_NEGATIVE, depth=NOT_NEGATIVE, compactness=NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowingSettings:
    """Of regions that grow from seeds.

    Attributes:
        sigma_px: Of the Gaussian before.
        depth: Of the shallowest basin of the gradient that gets a seed where none are given, in levels a pixel.
    """

    sigma_px: float = 1.5
    depth: float = 4.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, sigma_px=NOT_NEGATIVE, depth=NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitMergeSettings:
    """Of split and merge.

    Attributes:
        sigma_px: Of the Gaussian before.
        deviation: Up to which a square is even, in levels.
        merge_deviation: Up to which a union of regions is; more than that of squares hides where these were cut.
        least_side_px: Side at which cutting ends; a power of two.
        least_area: Of the smallest region, as a share of the image.
    """

    sigma_px: float = 0.5
    deviation: float = 10.0
    merge_deviation: float = 15.0
    least_side_px: int = 2
    least_area: float = 0.001

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        power = Range(lambda value: value >= 1 and not int(value) & (int(value) - 1), "a power of two", is_whole=True)
        check_fields(
            self,
            sigma_px=NOT_NEGATIVE,
            deviation=NOT_NEGATIVE,
            merge_deviation=NOT_NEGATIVE,
            least_side_px=power,
            least_area=SHARE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KmeansSettings:
    """Of k-means on colour.

    Attributes:
        clusters: How many.
        sigma_px: Of the Gaussian before.
        place_weight: What the width of the image counts beside colour, in levels.
    """

    clusters: int = 4
    sigma_px: float = 1.0
    place_weight: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, clusters=_TWO_OR_MORE, sigma_px=NOT_NEGATIVE, place_weight=NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanShiftSettings:
    """Of mean shift on colour.

    Attributes:
        bandwidth: Radius of the window, in levels of CIE L*a*b* on 0..255.
        sigma_px: Of the Gaussian before.
    """

    bandwidth: float = 24.0
    sigma_px: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, bandwidth=POSITIVE, sigma_px=NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicSettings:
    """Of SLIC superpixels.

    Attributes:
        number: About how many.
        compactness: What a grid step counts beside colour.
        sigma_px: Of the Gaussian before.
    """

    number: int = 300
    compactness: float = 10.0
    sigma_px: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, number=_TWO_OR_MORE, compactness=POSITIVE, sigma_px=NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FelzenszwalbSettings:
    """Of Felzenszwalb's and Huttenlocher's graph.

    Attributes:
        scale: More makes regions larger; also the fewest pixels of a region.
        sigma_px: Of the Gaussian before.
    """

    scale: int = 200
    sigma_px: float = 0.8

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, scale=AT_LEAST_ONE, sigma_px=NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizedCutSettings:
    """Of normalised cuts of superpixels.

    Attributes:
        superpixels: Nodes of the graph, about.
        most_cut: Greatest normalised cut that is made, 0..2.
        most_parts: Parts at which dividing ends.
        colour_sigma: Difference of colour at which superpixels hardly belong together, in levels.
        place_share: Distance at which they hardly do, as a share of the diagonal.
    """

    superpixels: int = 300
    most_cut: float = 0.15
    most_parts: int = 12
    colour_sigma: float = 15.0
    place_share: float = 0.2

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(
            self,
            superpixels=_TWO_OR_MORE,
            most_cut=NOT_NEGATIVE,
            most_parts=_TWO_OR_MORE,
            colour_sigma=POSITIVE,
            place_share=POSITIVE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCutSettings:
    """Of the minimum cut.

    Attributes:
        smoothness: What it costs to part two equal neighbours.
        components: Gaussians of each class's colours, where marks or a box tell them.
        margin: Share of each side that is background where nothing is told.
    """

    smoothness: float = 50.0
    components: int = 5
    margin: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, smoothness=NOT_NEGATIVE, components=AT_LEAST_ONE, margin=_HALF)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrabCutSettings:
    """Of cuts and colours by turns.

    Attributes:
        smoothness: What it costs to part two equal neighbours.
        components: Gaussians of each class's colours.
        iterations: Most turns.
        prior_weight: Of what was learned from other images, beside the image's own colours.
        margin: Share of each side that is background where nothing is told.
    """

    smoothness: float = 50.0
    components: int = 5
    iterations: int = 5
    prior_weight: float = 0.5
    margin: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(
            self,
            smoothness=NOT_NEGATIVE,
            components=AT_LEAST_ONE,
            iterations=AT_LEAST_ONE,
            prior_weight=SHARE,
            margin=_HALF,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChanVeseSettings:
    """Of two even sides with a short border.

    Attributes:
        channel: That is parted.
        sigma_px: Of the Gaussian before.
        smoothness: What a length of border costs.
        iterations: Most steps of the level set.
    """

    channel: Channel = "grey"
    sigma_px: float = 1.0
    smoothness: float = 0.1
    iterations: int = 100

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, sigma_px=NOT_NEGATIVE, smoothness=POSITIVE, iterations=AT_LEAST_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnakeSettings:
    """Of a contour that is drawn to edges.

    Attributes:
        channel: Whose edges.
        sigma_px: Of the Gaussian before; edges draw from about so far.
        elasticity: How much it shrinks.
        rigidity: How much it resists bending.
        iterations: Most steps.
        margin: Share of each side outside the contour it begins with, where nothing is told.
    """

    channel: Channel = "grey"
    sigma_px: float = 3.0
    elasticity: float = 0.01
    rigidity: float = 1.0
    iterations: int = 500
    margin: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(
            self,
            sigma_px=NOT_NEGATIVE,
            elasticity=NOT_NEGATIVE,
            rigidity=NOT_NEGATIVE,
            iterations=AT_LEAST_ONE,
            margin=_HALF,
        )
