"""A music bundle opened for use, and the job that makes a piece with it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...assets.bundle import Bundle
from ...assets.music.score import STREAMS
from ...assets.refusal import Refusal
from ..engine.backends import chosen, open_backend
from ..engine.tokens.job import TokenJob
from ..engine.tokens.network import Cache, TokenNetwork, prove
from ..noise import TOKENS, gumbels
from .conditions import STYLES
from .recipe import MusicRecipe
from .resolve import MusicResolved, manifest_of, resolve

LATENT_ONLY = ("reference", "null")
"""Backends of tests, which know what goes into a model of latents."""
WIDEST = 128
"""Words that noise is made for; a power of two, so that a stream's noise does not depend on the sizes of others."""


def open_tokens(bundle: Bundle, backend: str, threads: int, cache: Path) -> TokenNetwork:
    """The bundle's step on a backend, on one thread; proved once a machine, the proof is kept in `cache`.

    "auto" is ONNX Runtime: of eight bars 0.31 s of processor time, where OpenVINO took 0.72 s (one step is small, and what
    surrounds it counts).
    """
    if chosen(backend)[0] in LATENT_ONLY:
        sentence = f"{backend!r} runs models of latents, and music is made of tokens"
        raise Refusal("unsupported", "backend", sentence, "name another, or serve other bundles with --bundle")
    manifest = manifest_of(bundle)
    step = open_backend("onnxruntime" if backend == "auto" else backend)(bundle.path("step"), 1)
    shape = Cache(manifest.cache.layers, manifest.cache.heads, manifest.cache.window, manifest.cache.head)
    fixed = prove(step, shape, len(manifest.sizes), manifest.condition, bundle.digest, cache)
    network = TokenNetwork(bundle, step, shape, fixed)
    _begin(network)
    return network


def _begin(network: TokenNetwork) -> None:
    """The first row of a piece: what is fetched and laid out only once is there before anyone waits for it."""
    TokenJob.run([token_job(network, resolve({"style": STYLES[0]}, network.bundle))], time.perf_counter)


def token_job(network: TokenNetwork, resolved: MusicResolved) -> TokenJob:
    return TokenJob(network, resolved.plan, lambda: noise_of(resolved.recipe, resolved.plan.frames))


def noise_of(recipe: MusicRecipe, frames: int, first: int = 0) -> NDArray[np.float64]:
    """(streams, frames, words) from a frame on: a function of seed, stream and frame alone; a reseeded stream has another seed's."""
    noise = gumbels(recipe.seed, TOKENS, 0, len(STREAMS), frames, WIDEST, y=first)
    for name, seed in recipe.reseeded.items():
        stream = STREAMS.index(name)
        noise[stream] = gumbels(seed, TOKENS, 0, len(STREAMS), frames, WIDEST, y=first)[stream]
    return noise
