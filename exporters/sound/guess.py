"""The best guess that statistics of a class allow: what a network starts from, and adds to.

By class and place a latent number has a mean, which modifiers shift, and a deviation. What a whole sound has in common, such
as its chord, is near one of a few examples of its class; the rest is new from cell to cell. Under that model, a mixture of
Gaussians, the flow is known in closed form. The networks here see far fewer steps of training than networks of their size
need; so they learn what these statistics cannot say, and not the loudness of rain.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .dataset import LENGTHS, Example
from .vocabulary import LOOPS, MODIFIERS, SOUNDS

KNOTS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 56, 66, 78, 92, 108, 127)
"""Cells at which the statistics of a one-shot are kept, with straight lines between."""
LONGEST = max(LENGTHS)
SMALLEST = 0.05
"""Deviation, so that nothing is certain."""
RIDGE = 4.0
"""Sounds' worth of doubt that a modifier does anything."""
KEPT_NOISE = 0.05
"""Noise that is assumed of what is held."""
EXAMPLES = 64
"""Of what sounds of a class have in common."""
AROUND = 0.1
"""Of the variance that whole sounds have in common, how much lies around the examples."""
BOLDNESS = 8.0
"""Of a few-step network: how surely it chooses the example that is nearest by angle. By distance, noise is nearest to the
smallest examples, and every chord would be a faint one."""
CALM = 0.7
"""Of a few-step network: how much of what is new from cell to cell it makes; all of it is heard as a flutter."""
BOLD = 0.2
"""Of a few-step network: the part of the signal that is assumed at least, so that even pure noise chooses an example."""


REACHES = (17, 5)
"""Cells that what is new from cell to cell is averaged over, to each side, for what is slow in it and what is not so slow."""


def tapers() -> NDArray[np.float32]:
    """(2, 18): weights of those averages by distance, 0 from the reach on."""
    away = np.arange(max(REACHES) + 1)
    raised = np.stack([np.where(away < reach, 1 + np.cos(np.pi * away / reach), 0.0) for reach in REACHES])
    return (raised / (2 * raised.sum(1, keepdims=True) - raised[:, :1])).astype(np.float32)


def powers() -> NDArray[np.float64]:
    """(3,): what white noise of unit power has left in the slow band, in the middle one and in the fast one."""
    both = np.concatenate([tapers()[:, :0:-1], tapers()], 1).astype(np.float64)
    at_once = np.zeros(both.shape[1])
    at_once[max(REACHES)] = 1.0
    return np.array([(band**2).sum() for band in (both[0], both[1] - both[0], at_once - both[1])])


def hats() -> NDArray[np.float32]:
    """(KNOTS, LONGEST): weights of the knots at each cell."""
    return np.stack([np.interp(np.arange(LONGEST), KNOTS, row) for row in np.eye(len(KNOTS))]).astype(np.float32)


class Guess(nn.Module):
    """Tables of all classes and, in the last row, of all sounds together, which stands for no prompt."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        rows, size = len(SOUNDS) + 1, channels * len(KNOTS)
        self.channels = channels
        self.register_buffer("mean", torch.zeros(rows, size))
        self.register_buffer("shift", torch.zeros(len(SOUNDS) * len(MODIFIERS), size))
        self.register_buffer("deviation", torch.ones(rows, size))
        self.register_buffer("share", torch.full((rows, channels), 0.5))
        self.register_buffer("examples", torch.zeros(len(SOUNDS) * EXAMPLES, channels))
        white = torch.from_numpy(powers().astype(np.float32))
        self.register_buffer("bands", white[:, None, None].repeat(1, rows, channels))
        self.register_buffer("hats", torch.from_numpy(hats()))
        self.register_buffer("tapers", torch.from_numpy(tapers()))
        self.white = [float(power) for power in powers()]

    def flow(self, x: Tensor, time: Tensor, condition: Tensor, held: Tensor) -> Tensor:
        """Noise less clean, both as expected of x (B, C, 1, L) at `time` (B,)."""
        clean, rest, alpha, sigma, own = self._parted(x, time, condition, held, 0.0)
        noise = torch.zeros_like(rest)
        for band, power, white in zip(self._in_bands(rest), own, self.white, strict=True):
            likely = band / (alpha.square() * power + sigma.square() * white)
            clean = clean + alpha * power * likely
            noise = noise + sigma * white * likely
        return (noise - clean)[:, :, None]

    def end(self, x: Tensor, time: Tensor, condition: Tensor, held: Tensor) -> Tensor:
        """Where the path from x (B, C, 1, L) at `time` ends: an example is chosen, what is new from cell to cell is scaled."""
        clean, rest, alpha, sigma, own = self._parted(x, time, condition, held, BOLD)
        for band, power, white in zip(self._in_bands(rest), own, self.white, strict=True):
            clean = clean + CALM * band * (power / (alpha.square() * power + sigma.square() * white)).sqrt()
        return clean[:, :, None]

    def _parted(
        self, x: Tensor, time: Tensor, condition: Tensor, held: Tensor, bold: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor]]:
        """What is expected of the whole sound, what x has beside it, the signal's and the noise's part, and by band the
        variance of what is new from cell to cell; (B, C, L) or broadcast to that."""
        sounds = condition[:, : len(SOUNDS)]
        sounds = sounds / sounds.sum(1, keepdim=True).clamp(min=1.0)
        rows = torch.cat([sounds, (1 - sounds.sum(1, keepdim=True)).clamp(min=0.0)], 1)
        both = (sounds[:, :, None] * condition[:, None, len(SOUNDS) :]).flatten(1)
        mean = self._laid(rows @ self.mean + both @ self.shift, x.shape[3])
        deviation, share = self._laid(rows @ self.deviation, x.shape[3]), rows @ self.share
        kept, t = held[:, :1, 0], time[:, None, None]
        alpha = (1 - t) * (1 - kept) + kept
        sigma = t * (1 - kept) + KEPT_NOISE * kept
        y = x[:, :, 0] * (1 - kept) + held[:, 1:, 0] - alpha * mean
        variance = deviation.square() * (1 - share)[:, :, None]
        seen = alpha.clamp(min=bold) * deviation
        weight = seen / (alpha.square() * variance + sigma.square())
        precision, told = (weight * seen).sum(2), (weight * y).sum(2)
        around = AROUND * share
        blurred = 1 / (1 + around * precision)
        fit = (told * blurred) @ self.examples.t()
        size = (precision * blurred) @ self.examples.square().t()
        fit = BOLDNESS * fit * torch.rsqrt(size + 1e-6) if bold else fit - 0.5 * size
        chances = sounds.clamp(min=1e-9).log().repeat_interleave(EXAMPLES, 1)
        common = torch.softmax(fit + chances, 1) @ self.examples
        common = common + around * blurred * (told - (weight * alpha * deviation).sum(2) * common)
        whole = deviation * common[:, :, None]
        own = [variance * (rows @ band)[:, :, None] for band in self.bands]
        return mean + whole, y - alpha * whole, alpha, sigma, own

    def _laid(self, table: Tensor, length: int) -> Tensor:
        """(B, C, L) of numbers at the knots, (B, C KNOTS)."""
        places = self.hats.index_select(1, torch.arange(length))
        return table.reshape(-1, self.channels, len(KNOTS)) @ places

    def _in_bands(self, y: Tensor) -> list[Tensor]:
        """What is slow on the ring of y (B, C, L), what is not so slow, and the rest."""
        cells = torch.arange(y.shape[2])
        apart = (cells[:, None] - cells).abs()
        ring = torch.minimum(apart, y.shape[2] - apart).clamp(max=max(REACHES))
        slow, middle = (
            y @ taper.index_select(0, ring.flatten()).reshape(y.shape[2], y.shape[2]) for taper in self.tapers
        )
        return [slow, middle - slow, y - middle]

    @torch.no_grad()
    def fit(self, data: list[Example]) -> None:
        """Sets the tables from latents."""
        for row, sound in enumerate((*SOUNDS, None)):
            chosen = [each for each in data if sound in (None, each.sound)]
            if sound is None:
                chosen = chosen[::8]
            still = sound is None or sound in LOOPS
            mean, shift, deviation, share, common, left = _statistics(chosen, still)
            if still:
                self.bands[:, row] = self._fitted(left, share, deviation)
            self.mean[row], self.deviation[row], self.share[row] = (
                torch.from_numpy(each.reshape(-1).astype(np.float32)) for each in (mean, deviation, share)
            )
            if sound is not None:
                first = row * len(MODIFIERS)
                shifts = torch.from_numpy(shift.reshape(len(MODIFIERS), -1).astype(np.float32))
                self.shift[first : first + len(MODIFIERS)] = shifts
                picked = np.linspace(0, len(common) - 1, EXAMPLES).astype(int)
                self.examples[row * EXAMPLES : (row + 1) * EXAMPLES] = torch.from_numpy(
                    common[picked].astype(np.float32)
                )

    def _fitted(self, left: list[Table], share: Table, deviation: Table) -> Tensor:
        """(3, C): the part of the variance of what is new from cell to cell that each band has, in ambiences."""
        total = torch.zeros(len(self.white), self.channels)
        for each in left:
            new = each / deviation[:, :1]
            new = (new - new.mean(1, keepdims=True)) / np.sqrt(1 - share)[:, None]
            for number, band in enumerate(self._in_bands(torch.from_numpy(new.astype(np.float32))[None])):
                total[number] += band[0].square().mean(1)
        return total / len(left)


Table = NDArray[np.float64]


def _statistics(chosen: list[Example], still: bool) -> tuple[Table, Table, Table, Table, Table, list[Table]]:
    """mean (C, KNOTS), shift (MODIFIERS, C, KNOTS), deviation (C, KNOTS), share (C,) of its variance that whole sounds have in
    common, that (N, C), and what is left of each sound, of a class; `still` at all places alike."""
    weight = np.ones((1, LONGEST)) if still else hats().astype(np.float64)
    told = np.stack([np.concatenate([[1.0], each.condition[len(SOUNDS) :]]) for each in chosen])
    averages, covered = [], []
    for each in chosen:
        local = weight[:, : each.features.shape[1]]
        averages.append(each.features.astype(np.float64) @ (local / np.maximum(local.sum(1, keepdims=True), 1e-9)).T)
        covered.append(local.sum(1) > 0.5)
    at, there = np.stack(averages), np.stack(covered)  # (N, C, knots), (N, knots)
    solved = []
    for knot in range(len(weight)):
        known = there[:, knot]
        doubt = np.diag([1e-3, *[RIDGE] * len(MODIFIERS)])
        rows = told[known]
        solved.append(np.linalg.solve(rows.T @ rows + doubt, rows.T @ at[known, :, knot]))
    nearest = np.minimum(np.arange(len(weight)), np.nonzero(there.any(0))[0].max())  # no sound reaches the last knots
    fitted = np.stack(solved, 2)[:, :, nearest]  # (1 + MODIFIERS, C, knots)
    square, count = np.zeros(fitted.shape[1:]), np.zeros(len(weight))
    left = []
    for each, row in zip(chosen, told, strict=True):
        local = weight[:, : each.features.shape[1]]
        left.append(each.features - np.tensordot(row, fitted, 1) @ local)
        square += left[-1] ** 2 @ local.T
        count += local.sum(1)
    deviation = np.maximum(np.sqrt(square / np.maximum(count, 1e-9)), SMALLEST)[:, nearest]
    span = LONGEST if still else 24
    ratio = [(r / (deviation @ weight[:, : r.shape[1]]))[:, :span].mean(1) for r in left]
    share = np.clip(np.mean(np.square(ratio), 0), 0.01, 0.97)
    knots = len(KNOTS)
    if still:
        fitted, deviation = fitted.repeat(knots, 2), deviation.repeat(knots, 1)
    return fitted[0], fitted[1:], deviation, share, np.stack(ratio), left
