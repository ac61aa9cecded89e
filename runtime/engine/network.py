"""A bundle's graphs opened on a backend: model evaluations and decoding whose bits do not depend on company."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...assets.bundle import Bundle
from ...assets.manifest import Words
from ...assets.refusal import Refusal
from .backends import Graph
from .pace import Pace
from .proof import Proof
from .tiles import decode_tiled

Array = NDArray[np.float32]

NOTHING: Mapping[str, Array] = {}
CELLS_PER_CALL = 512
"""Latent cells that one model call serves: two 128 px textures at 8 px a cell. On processors a larger call is no faster
per sample, of two not slower than of four, and an urgent request waits for the whole of it."""


@dataclass(eq=False)
class Network:
    """`step` and `decode` of one bundle, and `more`: its other step graphs and the encoders of pictures, by name. Calls are
    made from one thread at a time."""

    bundle: Bundle
    step: Graph
    decode: Graph
    proof: Proof
    encode_text: Graph | None = None
    more: Mapping[str, Graph] = field(default_factory=dict)
    cell: Pace = field(default_factory=Pace)  # of model evaluation, one sample
    decoded_cell: Pace = field(default_factory=Pace)
    _warm: set[tuple[int, ...]] = field(default_factory=set)

    @cached_property
    def made_by(self) -> dict[str, str]:
        """Who makes the bits; part of every result."""
        return {**self.step.identity.to_dict(), "bundle": self.bundle.digest}

    @property
    def strategy(self) -> str:
        """How bits are kept free of company."""
        return self.proof.strategy

    def batch_for(self, size: tuple[int, ...]) -> int:
        """How many samples of (height, width) cells one call takes; a guided job is two."""
        return max(1, CELLS_PER_CALL // prod(size))

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

    def encoded(self, graph: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """What an encoder of the bundle makes of a picture, alone."""
        return self.more[graph].run(inputs)

    def evaluate(self, latents: Array, times: Array, conditions: Array, inputs: Mapping[str, Array] = NOTHING) -> Array:
        """Raw model output (B, C, h, w) for latents (B, C, h, w), times (B,), conditions (B, K) and named inputs (B, ...).

        The graph is the one that reads these inputs, no more and no fewer.
        """
        began = time.perf_counter()
        step = self._graph_of(inputs)
        given = {"latent": latents, "time": times, "condition": conditions, **inputs}
        fixed = self.proof.fixed_batch
        if fixed is None:
            raw = step.run(given)["raw"]
        else:
            parts = [slice(at, at + fixed) for at in range(0, len(latents), fixed)]
            cut = ({name: array[at] for name, array in given.items()} for at in parts)
            raw = np.concatenate([_padded(step, part, fixed) for part in cut])
        if latents.shape in self._warm:  # the first call at a shape includes its compilation
            now = time.perf_counter()
            self.cell.note((now - began) / (latents.size // latents.shape[1]), now)
        self._warm.add(latents.shape)
        return raw

    @cached_property
    def _steps(self) -> dict[frozenset[str], Graph]:
        graphs = {"step": self.step, **self.more}
        return {names: graphs[name] for names, name in self.bundle.steps.items()}

    def _graph_of(self, inputs: Mapping[str, Array]) -> Graph:
        if not inputs and not self.bundle.manifest.reads:  # nearly always
            return self.step
        step = self._steps.get(frozenset(inputs))
        if step is None:
            sentence = (
                f"{', '.join(inputs) or 'nothing more'} is read by no step graph of {self.bundle.manifest.name!r}"
            )
            raise Refusal("unsupported", "inputs", sentence, "ask for it through a request")
        return step

    def maps(self, latent: Array, grain: Array | None = None) -> Array:
        """Decoded maps (M, H, W) in [0, 1] of one latent (C, h, w); always alone, so that its bits cannot vary.

        grain  the decoder's noise, `grain_shape` of the manifest, for bundles that have it
        """
        began = time.perf_counter()
        tiles = self.bundle.manifest.tiles
        maps = self._decoded(latent, grain) if tiles is None else decode_tiled(self._decoded, latent, grain, tiles)
        if "finish" in self.more:
            maps = self.more["finish"].run({"colours": maps[None]})["maps"][0]
        now = time.perf_counter()
        self.decoded_cell.note((now - began) / latent[0].size, now)
        return maps

    def _decoded(self, latent: Array, grain: Array | None) -> Array:
        maps: Array = self.decode.run(decode_inputs(latent[None], None if grain is None else grain[None]))["maps"][0]
        return maps

    def expected_seconds(self, cells: int, evaluations: float) -> float:
        """Model and decoder time of one latent when it has the engine for itself; 0.0 before anything was measured."""
        return cells * (self.cell.expected() * evaluations + self.decoded_cell.expected())


def decode_inputs(latent: Array, grain: Array | None) -> dict[str, Array]:
    """Of a decode graph, for latents (B, C, h, w) and the noise that some decoders take."""
    return {"latent": latent} if grain is None else {"latent": latent, "noise": grain}


def _padded(step: Graph, given: Mapping[str, Array], batch: int) -> Array:
    count = len(given["latent"])
    index = np.minimum(np.arange(batch), count - 1)
    return step.run({name: array[index] for name, array in given.items()})["raw"][:count]
