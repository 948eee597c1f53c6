"""Classical image operations: light, colour, noise, frequencies, morphology, edges, gradients, windows, regions."""

from snellen.imaging.denoising import bilateral_blur, guided_blur, noise_sigma, non_local_means
from snellen.imaging.dense_crf import DenseCrfSettings, dense_crf
from snellen.imaging.edges import (
    canny,
    derivatives,
    gradient_magnitude,
    laplacian,
    laplacian_of_gaussian,
    zero_crossings,
)
from snellen.imaging.enhancement import Enhancement, array_of, enhanced, tensor_of
from snellen.imaging.equalisation import clahe, equalise
from snellen.imaging.exposure import local_threshold, repair_exposure
from snellen.imaging.filtering import gaussian_blur, laplacian_sharpen, mean_blur, median_blur, unsharp_mask
from snellen.imaging.frequency import high_pass, low_pass
from snellen.imaging.hog import HogSpec, hog, hog_blocks, hog_cells, hog_votes
from snellen.imaging.kernels import gaussian_kernel, gaussian_sigma
from snellen.imaging.morphology import (
    black_top_hat,
    closing,
    dilation,
    erosion,
    morphological_gradient,
    opening,
    white_top_hat,
)
from snellen.imaging.operations import OPERATIONS, ImageOperation
from snellen.imaging.permutohedral import PermutohedralLattice
from snellen.imaging.resizing import resize_bilinear, resize_nearest
from snellen.imaging.selective_search import (
    SEARCH_STRATEGIES,
    SearchStrategy,
    region_hierarchies,
    selective_search,
)
from snellen.imaging.tone import adjust_gamma, adjust_levels, log_transform, stretch_contrast
from snellen.imaging.white_balance import (
    adjust_gains,
    grey_edge,
    grey_world,
    neutral_light,
    shades_of_grey,
    white_patch,
)
from snellen.imaging.windows import (
    WindowCount,
    continued_edges,
    count_windows,
    lies_within,
    pyramid_scales,
    rescaled,
    score_windows,
    sliding_boxes,
)

__all__ = [
    "OPERATIONS",
    "SEARCH_STRATEGIES",
    "DenseCrfSettings",
    "Enhancement",
    "HogSpec",
    "ImageOperation",
    "PermutohedralLattice",
    "SearchStrategy",
    "WindowCount",
    "adjust_gains",
    "adjust_gamma",
    "adjust_levels",
    "array_of",
    "bilateral_blur",
    "black_top_hat",
    "canny",
    "clahe",
    "closing",
    "continued_edges",
    "count_windows",
    "dense_crf",
    "derivatives",
    "dilation",
    "enhanced",
    "equalise",
    "erosion",
    "gaussian_blur",
    "gaussian_kernel",
    "gaussian_sigma",
    "gradient_magnitude",
    "grey_edge",
    "grey_world",
    "guided_blur",
    "high_pass",
    "hog",
    "hog_blocks",
    "hog_cells",
    "hog_votes",
    "laplacian",
    "laplacian_of_gaussian",
    "laplacian_sharpen",
    "lies_within",
    "local_threshold",
    "log_transform",
    "low_pass",
    "mean_blur",
    "median_blur",
    "morphological_gradient",
    "neutral_light",
    "noise_sigma",
    "non_local_means",
    "opening",
    "pyramid_scales",
    "region_hierarchies",
    "repair_exposure",
    "rescaled",
    "resize_bilinear",
    "resize_nearest",
    "score_windows",
    "selective_search",
    "shades_of_grey",
    "sliding_boxes",
    "stretch_contrast",
    "tensor_of",
    "unsharp_mask",
    "white_patch",
    "white_top_hat",
    "zero_crossings",
]
