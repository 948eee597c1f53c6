"""Images that are copies of one another: the same file or pixels, or one picture changed a little.

A near copy may be cut by up to a tenth of a side, scaled, compressed, made brighter, mirrored or turned by quarters.
Candidates come from the lowest frequencies of the thumbnails, the same for all mirrored and turned versions, of the
whole image and of nine windows of it; a k-d tree finds the nearest in about n log n. Each candidate is then laid over
its twin (turn, scale and shift are solved for), and counts only if the fine structure agrees as well: two skies have
the same gradient, but not the same clouds.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from snellen.data import DatasetIndex, decoded_image
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.evidence.picture import THUMBNAIL_PX
from snellen.errors import DatasetError

__all__ = ["ImageCopies", "copies_of_images"]

FREQUENCIES = 4  # along each side that describe a candidate
WINDOW = 0.93  # of a side: cuts of 0 to 10 % are near the whole or one of nine windows of this size
NEIGHBOURS = 2  # that are looked at for each window; chains of copies are closed over their links
RADIUS = 0.25  # between descriptors of length 1; 99 % of cut copies are nearer (benchmarks/results/doctor_scan.md)
SLACK = 0.3  # a neighbour may be so much farther than the nearest, as a share: half the time, the same copies found
SAME_WAVES = 0.94  # cosine of the low frequencies of a window and its twin in one of the eight positions of a square
ROUNDS = 4  # of registration
SAME_SHAPE = 0.85  # correlation of the registered thumbnails; 0.90 to 1 for 99 % of copies
SAME_DETAIL = (
    0.80  # correlation of what is finer than 5 pixels of 32; 0.82 to 1 for 99 % of copies, below 0.73 for others
)
LIKE_DETAIL = 0.6  # likewise, of pictures that are alike; of photographs hardly any are that are no copies
MANY_ALIKE = 3  # others that a picture is like, from which being alike says nothing of it
MOST_VERSIONS = 12  # of one picture, that may be like one another
LEAST_DETAIL = 1.5  # levels of 255: standard deviation of the fine structure; below it there is nothing to compare
FLAT_CONTRAST = 1.5  # levels of 255: an image with less is blank, and all blank images are alike
AT_ONCE = 4096  # thumbnails that are taken apart at one time: as floats they take four times as much memory
BLOCK = 256  # pairs that are registered at one time: their arrays stay in the processor's cache
# Transposed, mirrored down, mirrored across.
_TURNS = tuple(
    (transposed, down, across) for transposed in (False, True) for down in (False, True) for across in (False, True)
)
_SIDES = [0, 1, 0, 2]  # of a window's scale and offsets: scale and offset down, scale and offset across


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageCopies:
    """Copies among the images of an index; ``n`` is their number.

    Attributes:
        exact: Images with equal numbers are exact copies (the same file, or the same pixels); ``[n]``.
        is_blank: Whether an image has hardly any contrast, so that being alike means nothing; ``[n]``.
        pairs: Rows of near copies that are not exact ones, the smaller first; ``[num_pairs, 2]``.
        similarity: Correlation of the fine structure of each pair once laid over one another; ``[num_pairs]``.
        alike: Rows of further pairs that fit as well, of pictures so plain that many fit one another;
            ``[num_alike, 2]``. They are no copies, but none tells anything new of the other.
    """

    exact: NDArray[np.int64]
    is_blank: NDArray[np.bool_]
    pairs: NDArray[np.int64]
    similarity: NDArray[np.float32]
    alike: NDArray[np.int64]

    @cached_property
    def exact_groups(self) -> tuple[NDArray[np.int64], ...]:
        """Rows of each group of two or more exact copies that are not blank, the largest group first."""
        rows = np.flatnonzero(~self.is_blank)
        return _groups(self.exact[rows], rows)

    @cached_property
    def near_groups(self) -> tuple[NDArray[np.int64], ...]:
        """Rows of each group of two or more that are exact or near copies and not blank, the largest group first."""
        return self._linked(self.pairs)

    @cached_property
    def alike_groups(self) -> tuple[NDArray[np.int64], ...]:
        """The same with plain pictures that are alike: what belongs on one side when images judge one another."""
        return self._linked(np.concatenate([self.pairs, self.alike]))

    def _linked(self, pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        number = len(self.exact)
        firsts = np.full(self.exact.max(initial=-1) + 1, -1)
        firsts[self.exact[::-1]] = np.arange(number)[::-1]
        links = np.concatenate([pairs, np.stack([np.arange(number), firsts[self.exact]], axis=1)])
        graph = coo_array((np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), shape=(number, number))
        kinds = connected_components(graph, directed=False)[1]
        rows = np.flatnonzero(~self.is_blank)
        return _groups(kinds[rows], rows)


def copies_of_images(index: DatasetIndex, facts: ImageFacts) -> ImageCopies:
    """Find exact and near copies."""
    readable = np.flatnonzero(facts.is_readable)
    is_blank = facts.is_readable & (facts.contrast < FLAT_CONTRAST)
    exact = _exact(index, facts)
    # One of each exact group stands for all of them, and blank ones for nobody.
    firsts = np.unique(exact, return_index=True)[1]
    rows = np.intersect1d(readable[~is_blank[readable]], firsts)
    pairs, similarity, alike = _near(facts.thumbnail[rows], index.splits[rows])
    return ImageCopies(exact=exact, is_blank=is_blank, pairs=rows[pairs], similarity=similarity, alike=rows[alike])


def _exact(index: DatasetIndex, facts: ImageFacts) -> NDArray[np.int64]:
    """Return a number for each image, equal for copies: by the file, and by the pixels if decoding confirms it."""
    number = len(facts)
    digests = facts.file_hash.copy()
    lost = np.flatnonzero(~facts.is_readable & (facts.file_bytes == 0))  # empty or missing files are no copies
    digests[lost] = np.stack([lost, lost], axis=1)
    kinds = np.unique(digests, axis=0, return_inverse=True)[1].reshape(number).astype(np.int64)
    _, firsts = np.unique(kinds, return_index=True)
    candidates = firsts[facts.is_readable[firsts]]
    for group in _groups(facts.pixel_hash[candidates], candidates):
        if facts.contrast[group[0]] < FLAT_CONTRAST:
            continue
        same = _same_pixels(index, group)
        kinds[np.isin(kinds, kinds[same])] = kinds[same[0]]
    return kinds


def _same_pixels(index: DatasetIndex, group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those of a group whose pixels are those of its first."""
    try:
        first = decoded_image(index.path(int(group[0])))[0]
        same = [row for row in group.tolist() if decoded_image(index.path(row))[0].equal(first)]
    except DatasetError:  # changed since it was scanned
        same = []
    return np.array(same or group[:1].tolist(), np.int64)


def _groups(kinds: NDArray[Any], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Return the rows of each kind that occurs twice or more, the largest group first."""
    if not len(rows):
        return ()
    order = np.argsort(kinds, kind="stable")
    starts = np.flatnonzero(np.diff(kinds[order])) + 1
    groups = [np.sort(rows[part]) for part in np.split(order, starts) if len(part) > 1]
    return tuple(sorted(groups, key=lambda group: (-len(group), int(group[0]))))


def _near(
    thumbnails: NDArray[np.uint8], splits: NDArray[np.int16]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Return pairs of near copies, how alike they are, and pairs of plain pictures that fit as well."""
    found = [_candidates(thumbnails, np.arange(len(thumbnails)), np.arange(len(thumbnails)))]
    names = np.unique(splits)
    if len(names) > 1:  # images of a video fill the nearest places, so that leaks are looked for on their own
        parts = [np.flatnonzero(splits == name) for name in names]
        for place, ours in enumerate(parts):
            for other, theirs in enumerate(parts):
                if place != other:
                    found.append(_candidates(thumbnails, ours, theirs))
    candidates = np.concatenate(found)
    looked_at = [
        _looked_at(thumbnails, candidates[start : start + BLOCK]) for start in range(0, len(candidates), BLOCK)
    ]
    if not looked_at:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32), np.zeros((0, 2), np.int64)
    pairs, scores = _best_of_each(*(np.concatenate(parts) for parts in zip(*looked_at, strict=True)))
    copies, others = scores >= SAME_DETAIL, (scores >= LIKE_DETAIL) & (scores < SAME_DETAIL)
    plain = _plain_pictures(len(thumbnails), pairs[copies], pairs[others])
    is_plain = plain[pairs].any(1)
    chosen = copies & ~is_plain
    return pairs[chosen], scores[chosen], pairs[copies & is_plain]


def _plain_pictures(number: int, copies: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True for pictures that many others nearly fit: digits of one stroke are alike without being copies.

    The few versions of one picture that somebody made may nearly fit one another: they count for nothing.
    """
    links = (np.ones(len(copies), np.int8), (copies[:, 0], copies[:, 1]))
    group = connected_components(coo_array(links, shape=(number, number)), directed=False)[1]
    first, second = group[others].T
    is_version = (first == second) & (np.bincount(group)[first] <= MOST_VERSIONS)
    return np.asarray(np.bincount(others[~is_version].ravel(), minlength=number) >= MANY_ALIKE)


def _best_of_each(
    pairs: NDArray[np.int64], scores: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    order = np.argsort(-scores, kind="stable")
    pairs, scores = np.sort(pairs, axis=1)[order], scores[order]
    firsts = np.sort(np.unique(pairs, axis=0, return_index=True)[1]) if len(pairs) else np.zeros(0, np.int64)
    return pairs[firsts], scores[firsts]


def _windows() -> tuple[tuple[float, float, float], ...]:
    """Return scale, and offset down and across, of the whole and of nine windows, as shares of a side."""
    rest = 1 - WINDOW
    offsets = (0.0, rest / 2, rest)
    return (1.0, 0.0, 0.0), *((WINDOW, down, across) for down in offsets for across in offsets)


def _candidates(thumbnails: NDArray[np.uint8], ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return candidates: the rows of a pair, the number of the window of the first, and the position of the second.

    Returns:
        ``[num_candidates, 4]``; the second, put into that of the eight positions of a square, is like the window.
    """
    whole = _low_frequencies(thumbnails, theirs, 0)
    tree = KDTree(_descriptors(whole), leafsize=32)
    blocks = [
        _near_window(thumbnails, ours[start : start + AT_ONCE], theirs, window, whole, tree)
        for window in range(len(_windows()))
        for start in range(0, len(ours), AT_ONCE)
    ]
    if not blocks:
        return np.zeros((0, 4), np.int64)
    pairs, alike = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    pairs = pairs[np.argsort(-alike, kind="stable")]
    nearest = np.unique(pairs[:, :2], axis=0, return_index=True)[1]
    return np.asarray(pairs[nearest], np.int64)  # each in its nearest window


def _near_window(
    thumbnails: NDArray[np.uint8],
    ours: NDArray[np.int64],
    theirs: NDArray[np.int64],
    window: int,
    whole: NDArray[np.float32],
    tree: KDTree,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the candidates of a window of some images, and how alike their low frequencies are."""
    waves = _low_frequencies(thumbnails, ours, window)
    near, places = tree.query(
        _descriptors(waves), k=range(1, NEIGHBOURS + 2), distance_upper_bound=RADIUS, eps=SLACK, workers=-1
    )
    rows, ranks = np.nonzero(np.isfinite(near))
    columns = places[rows, ranks]
    turned = np.stack(_positions_of_waves(whole[columns])).reshape(len(_TURNS), len(columns), FREQUENCIES**2)
    alike = np.einsum("mk,pmk->pm", waves.reshape(len(ours), FREQUENCIES**2)[rows], turned)
    score, position = alike.max(0, initial=-1.0), alike.argmax(0)
    pairs = np.stack([ours[rows], theirs[columns], np.full(len(rows), window), position], axis=1)
    hopeful = (pairs[:, 0] != pairs[:, 1]) & (score >= SAME_WAVES)
    return pairs[hopeful], score[hopeful]


def _low_frequencies(thumbnails: NDArray[np.uint8], chosen: NDArray[np.int64], window: int) -> NDArray[np.float32]:
    """Return amplitudes ``[n, 4, 4]`` of waves down and across a window, without the mean, of length 1."""
    scale, down, across = _windows()[window]
    waves = _waves(FREQUENCIES)
    rows, columns = (waves @ _resampling(np.array([scale]), np.array([offset]))[0] for offset in (down, across))
    found = np.empty((len(chosen), FREQUENCIES, FREQUENCIES), np.float32)
    for start in range(0, len(chosen), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        found[part] = rows @ thumbnails[chosen[part]].astype(np.float32) @ columns.T
    found[:, 0, 0] = 0
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=(1, 2), keepdims=True), 1e-6))


def _descriptors(waves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what of low frequencies is the same for all mirrored and turned versions of an image."""
    amplitudes = np.abs(waves)
    flipped = amplitudes.transpose(0, 2, 1)
    upper = np.triu_indices(FREQUENCIES, 1)
    parts = [
        (amplitudes + flipped)[:, upper[0], upper[1]] / np.sqrt(2),
        np.abs(amplitudes - flipped)[:, upper[0], upper[1]] / np.sqrt(2),
        np.diagonal(amplitudes, axis1=1, axis2=2)[:, 1:],
    ]
    return np.asarray(np.concatenate(parts, axis=1), np.float32)


def _positions_of_waves(waves: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return low frequencies as they are after each of the eight turns: mirroring negates the odd ones."""
    odd = np.where(np.arange(FREQUENCIES) % 2, -1, 1).astype(np.float32)
    return [
        (waves.transpose(0, 2, 1) if transposed else waves)
        * (odd[:, None] if down else 1)
        * (odd if across else 1)
        for transposed, down, across in _TURNS
    ]  # fmt: skip


def _waves(number: int) -> NDArray[np.float32]:
    places = np.arange(THUMBNAIL_PX) + 0.5
    waves = np.cos(np.pi / THUMBNAIL_PX * np.arange(number)[:, None] * places)
    waves[0] /= np.sqrt(2)
    return waves.astype(np.float32)


def _resampling(scales: NDArray[np.floating], offsets: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return matrices ``[m, 32, 32]`` that take a window of a side: its place in shares, linear in between."""
    side = THUMBNAIL_PX
    places = (offsets[:, None] + scales[:, None] * (np.arange(side) + 0.5) / side) * side - 0.5
    places = places.clip(0, side - 1)
    distance = np.abs(places[:, :, None] - np.arange(side))
    return np.maximum(0.0, 1.0 - distance).astype(np.float32)


def _looked_at(
    thumbnails: NDArray[np.uint8], candidates: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return those candidates that are nearly copies, and how alike their fine structure is."""
    ours = thumbnails[candidates[:, 0]].astype(np.float32)
    theirs = _turned(thumbnails[candidates[:, 1]], candidates[:, 3]).astype(np.float32)
    laid = _registered(ours, theirs, np.array(_windows(), np.float32)[candidates[:, 2]][:, _SIDES])
    fine, other = _fine(laid), _fine(theirs)
    detail = _correlation(fine, other)
    enough = np.minimum(fine.std((1, 2)), other.std((1, 2))) >= LEAST_DETAIL
    detail = np.where(_correlation(laid, theirs) >= SAME_SHAPE, detail, np.minimum(detail, SAME_DETAIL - 0.001))
    keep = (detail >= LIKE_DETAIL) & enough
    return candidates[keep, :2], detail[keep]


def _turned(images: NDArray[np.uint8], positions: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return each image in one of the eight positions of a square."""
    turned = np.empty_like(images)
    for position, (transposed, down, across) in enumerate(_TURNS):
        chosen = positions == position
        part = images[chosen].transpose(0, 2, 1) if transposed else images[chosen]
        turned[chosen] = part[:, :: -1 if down else 1, :: -1 if across else 1]
    return turned


def _warped(images: NDArray[np.float32], window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a window of each image; ``[m, 4]``: scale and offset down, scale and offset across."""
    rows, columns = _resampling(window[:, 0], window[:, 1]), _resampling(window[:, 2], window[:, 3])
    return np.asarray(rows @ images @ columns.transpose(0, 2, 1))


def _registered(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], window: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the window of ``ours`` that fits ``theirs`` best, by Gauss-Newton steps on scales and offsets."""
    wanted = _normal(theirs)
    places = ((np.arange(THUMBNAIL_PX) + 0.5) / THUMBNAIL_PX).astype(np.float32)
    best, score = _warped(ours, window), np.full(len(ours), -np.inf, np.float32)
    for _ in range(ROUNDS):
        laid = _warped(ours, window)
        found = _correlation(laid, theirs)
        better = found > score
        best[better], score[better] = laid[better], found[better]
        normal = _normal(laid)
        down, across = np.gradient(normal, axis=(1, 2))
        down, across = down * THUMBNAIL_PX / window[:, 0, None, None], across * THUMBNAIL_PX / window[:, 2, None, None]
        slopes = np.stack([down * places[:, None], down, across * places, across], axis=3).reshape(
            -1, THUMBNAIL_PX**2, 4
        )
        missing = (wanted - normal).reshape(-1, THUMBNAIL_PX**2, 1)
        squares = slopes.transpose(0, 2, 1) @ slopes + 1e-2 * np.eye(4, dtype=np.float32)
        step = np.linalg.solve(squares, slopes.transpose(0, 2, 1) @ missing)[:, :, 0]
        window = window + step.clip(-0.05, 0.05)
        window[:, ::2] = window[:, ::2].clip(0.85, 1.1)
        window[:, 1::2] = window[:, 1::2].clip(-0.1, 0.15)
    return best


def _normal(images: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = images - images.mean((1, 2), keepdims=True)
    return np.asarray(centred / np.maximum(centred.std((1, 2), keepdims=True), 1e-3))


def _fine(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what is finer than 5 pixels, without the outermost pixels, which a window may have to invent."""
    fine = images - uniform_filter(images, size=(0, 5, 5), mode="nearest")
    return np.asarray(fine[:, 2:-2, 2:-2])


def _correlation(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((_normal(ours) * _normal(theirs)).mean((1, 2)))
