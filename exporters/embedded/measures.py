"""Measures of generated textures against data: distance, variety, seams, spectrum, baked light. Maps are (N, 6, H, W), 0 to 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.floating[Any]]
PART = 256
"""Textures transformed at a time."""


def kernel_distance(made: Array, data: Array, made_groups: NDArray[np.int64], data_groups: NDArray[np.int64]) -> float:
    """Squared maximum mean discrepancy of features (N, D) and (M, D), with a cubic kernel; unbiased, 0 for equal sets.

    Both hold samples of every group, each as many as any other: fewer pairs within a set than between sets are then of one
    group, which would make equal sets look nearer than nothing. So means are taken by pairs of groups first.

    Binkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", 2018, https://arxiv.org/abs/1801.01401
    """
    scale = data.std() ** 2 * data.shape[1]
    names = np.unique(data_groups)
    own, its = (np.equal.outer(names, groups).astype(float) for groups in (made_groups, data_groups))

    def kernel(a: Array, b: Array) -> Array:
        centred = (a - data.mean(0)) @ (b - data.mean(0)).T / scale
        return np.asarray((centred + 1.0) ** 3)

    def within(features: Array, members: Array) -> float:
        pairs = members.sum(1)[:, None] * (members.sum(1) - np.eye(len(members)))
        k = kernel(features, features)
        return float((members @ (k - np.diag(np.diag(k))) @ members.T / pairs).mean())

    across = own @ kernel(made, data) @ its.T / np.outer(own.sum(1), its.sum(1))
    return within(made, own) + within(data, its) - 2 * float(across.mean())


def variety(features: Array, groups: NDArray[np.int64]) -> float:
    """Mean distance between features (N, D) of the same group."""
    means = []
    for group in np.unique(groups):
        own = features[groups == group]
        apart = np.linalg.norm(own[:, None] - own[None], axis=-1)
        means.append(apart.sum() / max(1, len(own) * (len(own) - 1)))
    return float(np.mean(means))


def seam(maps: Array) -> NDArray[np.float64]:
    """For each map (6,): mean step across the wrap over the mean step inside, the larger of both axes; 1 is seamless."""
    ratios = []
    for axis in (2, 3):
        steps = np.abs(np.roll(maps, -1, axis) - maps).mean((0, 5 - axis))
        ratios.append(steps[:, -1] / np.maximum(steps[:, :-1].mean(1), 1e-6))
    return np.asarray(np.max(ratios, axis=0), np.float64)


def rings(side: int) -> tuple[NDArray[np.float64], list[NDArray[np.bool_]]]:
    """Twelve bands from low to Nyquist that have a frequency in a picture of so many pixels a side: (the middle of each in
    cycles a pixel, where it is in a two-dimensional Fourier transform)."""
    f = np.fft.fftfreq(side) * side
    radius = np.hypot(f[:, None], f[None, :])
    edges = np.geomspace(1, side / 2, 13)
    bands = [(low, high, (radius >= low) & (radius < high)) for low, high in zip(edges, edges[1:], strict=False)]
    there = [band for band in bands if band[2].any()]
    return np.array([np.sqrt(low * high) / side for low, high, _ in there]), [band for _, _, band in there]


def spectrum(maps: Array) -> Array:
    """Radial power of each map in dB, (6, bands) from low to Nyquist."""
    power = np.zeros(maps.shape[1:])
    for part in np.array_split(maps, -(-len(maps) // PART)):  # transformed, all would take many times their memory
        centred = part - part.mean((2, 3), keepdims=True)
        power += (np.abs(np.fft.fft2(centred)) ** 2).sum(0) / len(maps)
    _, bands = rings(maps.shape[-1])
    return np.stack([10 * np.log10(power[:, band].mean(1) + 1e-9) for band in bands], 1)


def baked_light(maps: Array) -> float:
    """The largest correlation, over four directions of one light for all textures, of albedo luminance with the height's slope towards it."""
    luminance, height = maps[:, :3].mean(1), maps[:, 3]
    dx, dy = (np.roll(height, -1, axis) - np.roll(height, 1, axis) for axis in (2, 1))
    grey = luminance - luminance.mean((1, 2), keepdims=True)
    found = []
    for light in (dx, dy, dx + dy, dx - dy):
        scale = np.sqrt((grey**2).mean((1, 2)) * (light**2).mean((1, 2))) + 1e-9
        found.append(np.abs(((grey * light).mean((1, 2)) / scale).mean()))
    return float(max(found))


def edges_agree(maps: Array) -> float:
    """Mean correlation of where albedo luminance and where height change, both as gradient magnitudes."""

    def steepness(x: Array) -> Array:
        dx, dy = (np.roll(x, -1, axis) - x for axis in (2, 1))
        found = np.hypot(dx, dy)
        return np.asarray(found - found.mean((1, 2), keepdims=True))

    a, b = steepness(maps[:, :3].mean(1)), steepness(maps[:, 3])
    return float(((a * b).mean((1, 2)) / (np.sqrt((a**2).mean((1, 2)) * (b**2).mean((1, 2))) + 1e-9)).mean())


def physical(maps: Array, groups: NDArray[np.int64], data: Array, labels: NDArray[np.int64], margin: float) -> float:
    """Share of samples whose mean roughness and mean metallic lie within the range of data of the same group, `margin` added."""
    inside = []
    own, real = maps[:, 4:].mean((2, 3)), data[:, 4:].mean((2, 3))
    for group in np.unique(groups):
        known = real[labels == group]
        low, high = known.min(0) - margin, known.max(0) + margin
        inside.append(((own[groups == group] >= low) & (own[groups == group] <= high)).all(1))
    return float(np.concatenate(inside).mean())


def nearest(maps: NDArray[Any], others: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each texture (N, 6, H, W) the highest correlation of colour, over all shifts and mirrored too, as trainings see them,
    with any of `others` (M, 6, H, W), and which."""

    def transformed(x: NDArray[Any]) -> NDArray[np.complex64]:
        x = x[:, :3] - x[:, :3].mean((2, 3), keepdims=True, dtype=np.float32)
        return np.asarray(fft.rfft2(x / (np.sqrt((x**2).sum((1, 2, 3), keepdims=True)) + 1e-9)))

    known = np.conj(transformed(np.concatenate([others, others[..., ::-1]])))
    best, which = [], []
    for one in maps:
        peaks = fft.irfft2((known * transformed(one[None])).sum(1)).max((1, 2))
        best.append(float(peaks.max()))
        which.append(int(peaks.argmax()) % len(others))
    return np.asarray(best), np.asarray(which)
