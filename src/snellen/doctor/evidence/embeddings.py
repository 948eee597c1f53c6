"""Each image as a vector in which images of one kind lie near one another."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as vision

from snellen.data import DatasetIndex, read_image
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.array_store import recalled
from snellen.doctor.evidence.images import ImageFacts, ScanSettings
from snellen.doctor.evidence.picture_code import HOG_PX, PatchCode, learn_patches, picture_features
from snellen.doctor.evidence.reduction import Reduction
from snellen.doctor.words import Text
from snellen.errors import DatasetError
from snellen.models.backbones import Backbone, find_backbone
from snellen.models.weights import load_weights

__all__ = [
    "Embeddings",
    "PretrainedBackbone",
    "embeddings_of_images",
    "network_fingerprint",
    "network_input",
    "pretrained_backbone",
    "square_images",
]

NETWORK_PX = 128  # side at which a network looks at whole images
SAMPLE = 3000  # images from which axes and patches are learned
BATCH = 64
READERS = 4  # threads that decode; Pillow decodes outside Python's lock
GROUP_WEIGHTS = (1.0, 0.5, 1.0)  # gradients, colours, patches; out-of-fold accuracy on CIFAR-10
FEWEST = 20  # images from which anything can be learned


@dataclass(frozen=True, kw_only=True, eq=False)
class PretrainedBackbone:
    """A network whose features describe images.

    Attributes:
        name: For people.
        network: Weights loaded.
        mean: Of R, G, B in 0..1 that it expects.
        std: Spread of R, G, B that it expects.
    """

    name: str
    network: Backbone
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Embeddings:
    """A vector for each image; ``n`` is the number of images.

    Attributes:
        vectors: Zero for unreadable images; ``[n, d]``.
        is_readable: ``[n]``.
        origin: Name of the network that made them; empty where no weights were given.
    """

    ABSENT = Text(en="no image could be described; are the images readable?", zh="无法描述任何图像；图像能否读取？")

    vectors: NDArray[np.float32]
    is_readable: NDArray[np.bool_]
    origin: str = ""

    @property
    def is_pretrained(self) -> bool:
        """Whether a network with given weights made them."""
        return bool(self.origin)


def pretrained_backbone(
    name: str,
    file: Path | str,
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    padding: str = "torch",
) -> PretrainedBackbone:
    """Return a backbone of the catalogue with the weights of a file.

    Raises:
        ConfigError: If there is no such backbone.
        CheckpointError: If the weights do not fit.
    """
    build = find_backbone(name)
    network = build(padding=padding) if padding != "torch" else build()
    load_weights(network, file)
    return PretrainedBackbone(name=name, network=network.eval(), mean=mean, std=std)


def embeddings_of_images(
    index: DatasetIndex,
    facts: ImageFacts,
    backbone: PretrainedBackbone | None,
    settings: ScanSettings | None,
) -> Embeddings:
    """Describe every readable image, by a network if weights were given, else by what can be known without.

    Raises:
        NotCheckable: If there are too few images.
    """
    rows = np.flatnonzero(facts.is_readable)
    if len(rows) < FEWEST:
        raise NotCheckable(Text(
            en=f"images are compared from {FEWEST} readable ones on; there are {len(rows)}",
            zh=f"至少 {FEWEST} 张可读图像才能比较；现有 {len(rows)} 张",
        ))  # fmt: skip
    kind = "pictures" if backbone is None else network_fingerprint(backbone)
    stored = recalled(
        "images",
        (facts.file_hash.tobytes(), kind.encode()),
        None if settings is None else settings.cache,
        lambda: _described(index, rows, backbone, settings),
    )
    vectors = np.zeros((len(index), stored.shape[1]), np.float32)
    vectors[rows] = stored
    return Embeddings(vectors=vectors, is_readable=facts.is_readable, origin="" if backbone is None else backbone.name)


def network_fingerprint(backbone: PretrainedBackbone) -> str:
    """Return what tells one network with its weights from another."""
    digest = hashlib.sha256(f"{backbone.name} {backbone.mean} {backbone.std} {backbone.network}".encode())
    for name, tensor in backbone.network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def network_input(pixels: Tensor, backbone: PretrainedBackbone) -> Tensor:
    """Return bytes ``[b, 3, h, w]`` as the network expects them."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (backbone.mean, backbone.std))
    return (pixels.float() / 255 - mean) / std


def _described(
    index: DatasetIndex,
    rows: NDArray[np.int64],
    backbone: PretrainedBackbone | None,
    settings: ScanSettings | None,
) -> NDArray[np.float32]:
    order = np.random.default_rng(0).permutation(rows)
    sample, rest = np.sort(order[:SAMPLE]), np.sort(order[SAMPLE:])
    side = HOG_PX if backbone is None else NETWORK_PX
    code = None
    if backbone is None:
        few = torch.cat(list(square_images(index, sample[: SAMPLE // 2], HOG_PX))).float() / 255
        code = learn_patches(nn.functional.avg_pool2d(few, 2))
    done = 0
    groups: list[tuple[NDArray[np.float32], ...]] = []
    for pixels in square_images(index, sample, side):
        groups.append(_features(pixels, backbone, code))
        done = _tell(settings, done + len(pixels), len(rows))
    learned = [np.concatenate(parts) for parts in zip(*groups, strict=True)]
    weights = GROUP_WEIGHTS if backbone is None else [1.0] * len(learned)
    reduction = Reduction.learned(learned, weights)
    vectors = np.zeros((len(index), reduction.axes.shape[1]), np.float32)
    vectors[sample] = reduction.reduced(learned)
    start = 0
    for pixels in square_images(index, rest, side):
        places = rest[start : start + len(pixels)]
        vectors[places] = reduction.reduced(_features(pixels, backbone, code))
        start += len(pixels)
        done = _tell(settings, done + len(pixels), len(rows))
    return vectors[rows]


def _tell(settings: ScanSettings | None, done: int, of: int) -> int:
    if settings is not None and settings.on_progress is not None:
        settings.on_progress(done, of)
    return done


def _features(
    pixels: Tensor, backbone: PretrainedBackbone | None, code: PatchCode | None
) -> tuple[NDArray[np.float32], ...]:
    with torch.inference_mode():
        if backbone is None and code is not None:
            return tuple(part.numpy() for part in picture_features(pixels, code))
        if backbone is None:
            return ()
        maps = backbone.network(network_input(pixels, backbone))
        names = [spec.name for spec in backbone.network.features][-2:]
        return tuple(maps[name].mean((2, 3)).numpy() for name in names)


def square_images(index: DatasetIndex, rows: NDArray[np.int64], side: int) -> Iterator[Tensor]:
    """Yield images as bytes ``[b, 3, side, side]``, stretched to squares."""

    def squared(row: int) -> Tensor:
        try:
            image = read_image(index.path(row))
        except DatasetError:  # changed since it was scanned
            return torch.zeros(3, side, side, dtype=torch.uint8)
        scaled: Tensor = vision.resize(image, [side, side], antialias=True)
        return scaled

    with ThreadPoolExecutor(READERS) as readers:
        for start in range(0, len(rows), BATCH):
            yield torch.stack(list(readers.map(squared, rows[start : start + BATCH].tolist())))
