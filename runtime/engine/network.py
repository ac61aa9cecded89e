"""A bundle's graphs opened on a backend: model evaluations and decoding whose bits do not depend on company."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...assets.bundle import Bundle
from ...assets.manifest import Words
from .backends import Graph
from .proof import Proof

Array = NDArray[np.float32]

CELLS_PER_CALL = 512
"""Latent cells that one model call serves: two 128 px textures at 8 px a cell. On processors a larger call is no faster
per sample, of two not slower than of four, and an urgent request waits for the whole of it."""


@dataclass(eq=False)
class Network:
    """`step` and `decode` of one bundle. Calls are made from one thread at a time."""

    bundle: Bundle
    step: Graph
    decode: Graph
    proof: Proof
    encode_text: Graph | None = None
    seconds_per_cell: float = 0.0  # of model evaluation, one sample; a moving average
    decode_seconds_per_cell: float = 0.0
    _warm: set[tuple[int, ...]] = field(default_factory=set)

    @property
    def made_by(self) -> dict[str, str]:
        """Who makes the bits; part of every result."""
        return {**self.step.identity.to_dict(), "bundle": self.bundle.digest}

    @property
    def strategy(self) -> str:
        """How bits are kept free of company."""
        return self.proof.strategy

    def batch_for(self, size: tuple[int, ...]) -> int:
        """How many samples of (height, width) cells one call takes; a guided job is two."""
        return max(1, CELLS_PER_CALL // int(np.prod(size)))

    def conditions(self, parsed: Array) -> Array:
        """(2, K), with and without the prompt, from what the two prompts parsed to; free text goes through its encoder, and
        what stands behind its tokens comes behind what that gives."""
        known = self.bundle.manifest.conditioning
        if self.encode_text is None or isinstance(known, Words):
            return parsed
        length = sum(tokenizer.length for tokenizer in known.tokenizers)
        tokens, told = parsed[:, :length], parsed[:, length:]
        encoded = [self.encode_text.run({"tokens": each[None]})["condition"][0] for each in tokens]
        nothing, _ = self.bundle.parse_negative("")
        if known.empty == "zeros" and np.array_equal(tokens[1], nothing):
            encoded[1] = np.zeros_like(encoded[0])
        return np.hstack([np.stack(encoded), told])

    def evaluate(self, latents: Array, times: Array, conditions: Array) -> Array:
        """Raw model output (B, C, h, w) for latents (B, C, h, w), times (B,) and conditions (B, K)."""
        began = time.perf_counter()
        fixed = self.proof.fixed_batch
        if fixed is None:
            raw = self._call(latents, times, conditions)
        else:
            parts = [slice(at, at + fixed) for at in range(0, len(latents), fixed)]
            raw = np.concatenate([self._padded(latents[at], times[at], conditions[at], fixed) for at in parts])
        seconds = (time.perf_counter() - began) / (len(latents) * latents[0, 0].size)
        if latents.shape in self._warm:  # the first call at a shape includes its compilation
            self.seconds_per_cell = _moving(self.seconds_per_cell, seconds)
        self._warm.add(latents.shape)
        return raw

    def _call(self, latents: Array, times: Array, conditions: Array) -> Array:
        return self.step.run({"latent": latents, "time": times, "condition": conditions})["raw"]

    def _padded(self, latents: Array, times: Array, conditions: Array, batch: int) -> Array:
        index = np.minimum(np.arange(batch), len(latents) - 1)
        return self._call(latents[index], times[index], conditions[index])[: len(latents)]

    def maps(self, latent: Array, grain: Array | None = None) -> Array:
        """Decoded maps (M, H, W) in [0, 1] of one latent (C, h, w); always alone, so that its bits cannot vary.

        grain  the decoder's noise, `grain_shape` of the manifest, for bundles that have it
        """
        began = time.perf_counter()
        maps: Array = self.decode.run(decode_inputs(latent[None], None if grain is None else grain[None]))["maps"][0]
        seconds = (time.perf_counter() - began) / latent[0].size
        self.decode_seconds_per_cell = _moving(self.decode_seconds_per_cell, seconds)
        return maps

    def expected_seconds(self, cells: int, evaluations: float) -> float:
        """Model and decoder time of one latent when it has the engine for itself; 0.0 before anything was measured."""
        return cells * (self.seconds_per_cell * evaluations + self.decode_seconds_per_cell)


def decode_inputs(latent: Array, grain: Array | None) -> dict[str, Array]:
    """Of a decode graph, for latents (B, C, h, w) and the noise that some decoders take."""
    return {"latent": latent} if grain is None else {"latent": latent, "noise": grain}


def _moving(average: float, value: float) -> float:
    return value if average == 0.0 else 0.8 * average + 0.2 * value
