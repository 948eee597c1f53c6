"""Where the features of a shallow model come from: a kind of features made by hand, or a backbone.

Shapes: n images, d features.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import nn

from snellen.errors import TrainingError
from snellen.models.backbones import Backbone, normalize_for
from snellen.models.shallow.describing import contents, described
from snellen.models.shallow.feature_store import FeatureStore, description_key
from snellen.models.shallow.features import FeatureKind, find_features
from snellen.models.shallow.fitted import FittedArrays, check_arrays
from snellen.nn.content import content_cells, content_mean
from snellen.structures import ImageBatch

__all__ = ["HandMadeFeatures", "NetworkFeatures"]


class HandMadeFeatures(nn.Module):
    """A kind of features of the table.

    Args:
        kind: Its name.
        side: Of the square in pixels to which images are brought.
    """

    def __init__(self, kind: str, side: int) -> None:
        super().__init__()
        self.kind_name = kind  # the row holds functions, and is no part of what is copied or set
        self.side = side
        self.learned = FittedArrays()
        self._store: FeatureStore | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied: not the open file of the cache."""
        return {**self.__dict__, "_store": None}

    @property
    def kind(self) -> FeatureKind:
        """Its row."""
        return find_features(self.kind_name)

    def describe(self, batches: Sequence[ImageBatch], settings: Any, *, fresh: bool = False) -> list[NDArray[Any]]:
        """Return a description of each image of each batch, from the cache where it is there and not ``fresh``."""
        if self.kind.is_costly and self._store is None:
            self._store = FeatureStore()
        squares = [square for images in batches for square in contents(images, self.side)]
        return described(squares, self.kind, settings, None if fresh else self._store)

    def fit(self, descriptions: Sequence[NDArray[Any]], settings: Any, seed: int) -> None:
        """Learn what is learned from the descriptions of all training images, such as a vocabulary."""
        self.learned.take(self.kind.fit(descriptions, settings, seed))

    def encode(
        self, descriptions: Sequence[NDArray[Any]], settings: Any, *, counts: bool
    ) -> Float32[np.ndarray, "n d"]:
        """Return the features of described images.

        Args:
            descriptions: At least one.
            settings: As they were described with.
            counts: Whether histograms are wanted as they are.
        """
        return self.kind.encode(descriptions, self.learned.arrays(), settings, counts=counts)

    def check(self) -> None:
        """Refuse what no fit leaves behind.

        Raises:
            CheckpointError: If something has a wrong size or a value out of range.
        """
        if self.learned.numbers:
            check_arrays(self.learned.arrays(), self.kind.schema, {})


class NetworkFeatures(nn.Module):
    """The last map of a backbone, averaged over each image.

    Args:
        mean: Of R, G, B where 1 is full scale; None for what the backbone's published weights expect.
        std: Spread of R, G, B where 1 is full scale; None for the same.

    Source:
        Razavian et al. 2014, CNN features off-the-shelf, https://arxiv.org/abs/1403.6382.
    """

    def __init__(
        self, backbone: Backbone, *, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.normalize = normalize_for(backbone, mean, std)
        self.learned = FittedArrays()
        self._store: FeatureStore | None = None
        self._network_name = ""

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied: not the open file of the cache."""
        return {**self.__dict__, "_store": None}

    def forget(self) -> None:
        """Note that the backbone has other weights."""
        self._network_name = ""

    @torch.no_grad()
    def describe(self, batches: Sequence[ImageBatch], backbone: Backbone, *, fresh: bool = False) -> list[NDArray[Any]]:
        """Return the mean of the last map over each image, from the cache where it is there and not ``fresh``.

        Raises:
            TrainingError: If features are not finite.
        """
        if fresh:
            return [row for images in batches for row in self._means(images, backbone, range(len(images)))]
        return [row for images in batches for row in self._described(images, backbone)]

    def _described(self, images: ImageBatch, backbone: Backbone) -> list[NDArray[Any]]:
        if self._store is None:
            self._store = FeatureStore()
        kind = f"{self._name_of(backbone)} {tuple(images.pixels.shape[-2:])}"
        keys = [description_key(kind, image.numpy()) for image in contents(images, None)]
        known = self._store.recall(keys)
        missing = [place for place, key in enumerate(keys) if key not in known]
        if missing:
            fresh = dict(zip([keys[place] for place in missing], self._means(images, backbone, missing), strict=True))
            self._store.keep(fresh)
            known |= fresh
        return [known[key] for key in keys]

    def _means(self, images: ImageBatch, backbone: Backbone, places: Sequence[int]) -> list[NDArray[np.float32]]:
        rows = torch.tensor(places, device=images.pixels.device)
        part = ImageBatch(
            pixels=images.pixels[rows],
            sizes=images.sizes[rows.to(images.sizes.device)],
            original_sizes=images.original_sizes[rows.to(images.original_sizes.device)],
        )
        last = backbone.features[-1]
        with torch.autocast(images.pixels.device.type, enabled=False):
            maps = backbone(self.normalize(part))[last.name]
            means = content_mean(maps, content_cells(maps, part, last.stride)).cpu()
        if not torch.isfinite(means).all():
            raise TrainingError(
                "the backbone must give finite features; some are nan or infinite. Are its weights whole, and are mean "
                "and std those that they were trained with?"
            )
        return list(means.numpy())

    def _name_of(self, backbone: Backbone) -> str:
        """Return what names a backbone with its weights."""
        if not self._network_name:
            digest = hashlib.sha256(repr((backbone, self.normalize)).encode())
            for name, tensor in backbone.state_dict().items():
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
            self._network_name = digest.hexdigest()
        return self._network_name
