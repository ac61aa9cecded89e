"""MusicGen as any bundle is served: a recipe, a table for the token engine, a codec's sound.

A step is a row of the same `TokenJob` that makes scores: codebooks are streams, the delay pattern its delays, guidance two rows. What
the step hears of the text is its condition; without text it is all zeros. Copet et al. 2023, https://arxiv.org/abs/2306.05284.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...assets import tokens
from ...assets.bundle import Bundle
from ...assets.manifest import Text, Tokenizer
from ...assets.music.codes import KIND, CodesManifest
from ...assets.refusal import Refusal, Unknown
from ...assets.sound import Sound
from .. import checks
from ..engine.backends import open_backend
from ..engine.backends.base import Graph
from ..engine.tokens.job import TokenJob
from ..engine.tokens.network import Cache, TokenNetwork, prove
from ..engine.tokens.plan import TokenPlan
from ..engine.tokens.sampling import Sampling, guided
from ..noise import TOKENS, check_seed, gumbels
from ..recipe import Canonical, read
from .resolve import GUIDANCE_LIMIT, TokensResolved

Condition = NDArray[np.float32]


class CodesRecipe(Canonical, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One piece, completely determined together with the backend that makes it."""

    kind: str = KIND
    bundle: str  # digest of the bundle, hex
    prompt: str
    seed: int
    temperature: float
    top_k: int
    top_p: float
    guidance: float


FIELDS = CodesRecipe.__struct_fields__


def from_dict(fields: Mapping[str, Any]) -> CodesRecipe:
    return read(fields, CodesRecipe)


@dataclass(frozen=True, eq=False)
class CodesResolved(TokensResolved):
    """`tokens` of the prompt, (n,)."""

    recipe: CodesRecipe
    tokens: NDArray[np.float32]


@dataclass(eq=False)
class CodesNetwork(TokenNetwork):
    """`text` and `sound` beside the step: the text encoder, and the codec's decoder."""

    text: Graph = None  # type: ignore[assignment]
    sound: Graph = None  # type: ignore[assignment]

    def condition(self, said: NDArray[Any]) -> Condition:
        """(C,) of a prompt's tokens (n,), at most `text` of them."""
        m = manifest_of(self.bundle)
        if not 0 < len(said) <= m.text:
            sentence = f"has {len(said)} tokens, the graphs were made for 1 to {m.text}"
            raise Refusal("too_large", "prompt", sentence, "shorten it, or export with more text")
        mask = (np.arange(m.text) < len(said)).astype(np.float32)[None]
        padded = np.zeros((1, m.text), np.float32)
        padded[0, : len(said)] = said
        found: Condition = self.text.run({"tokens": padded, "mask": mask})["condition"][0]
        return found

    def heard(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        """(channels, samples) of codes (codebooks, frames)."""
        audio: NDArray[np.float32] = self.sound.run({"codes": codes[None].astype(np.float32)})["audio"][0]
        return audio


def manifest_of(bundle: Bundle) -> CodesManifest:
    found: object = bundle.manifest
    assert isinstance(found, CodesManifest)
    return found


def open_codes(bundle: Bundle, backend: str, cache: Path) -> CodesNetwork:
    """The bundle's graphs on a backend, on one thread as all token models; the step is proved once a machine."""
    m = manifest_of(bundle)
    opened = open_backend("onnxruntime" if backend == "auto" else backend)
    step, text, sound = (opened(bundle.path(name), 1) for name in ("step", "encode_text", "decode"))
    shape = Cache(m.cache.layers, m.cache.heads, m.cache.window, m.cache.head)
    fixed = prove(step, shape, m.codebooks, m.condition, bundle.digest, cache)
    return CodesNetwork(bundle, step, shape, fixed, text=text, sound=sound)


def resolve(request: Mapping[str, Any], bundle: Bundle) -> CodesResolved:
    """Completes a request (any part of a recipe) or refuses it in words."""
    for name in request:
        if name not in FIELDS:
            raise Unknown(str(name), name, FIELDS)
    asked = {name: value for name, value in request.items() if value is not None}
    m = manifest_of(bundle)
    prompt = checks.text(asked.get("prompt", ""), "prompt")
    reading = Text(tokenizers=[Tokenizer(m.tokenizer, m.text)], size=m.condition)
    said, ignored = tokens.parse(prompt, reading, bundle.folder)
    best = m.recommended
    dials = {name: asked.get(name, getattr(best, name)) for name in ("temperature", "top_k", "top_p")}
    how = Sampling(**dials)
    recipe = CodesRecipe(
        bundle=bundle.digest,
        prompt=prompt,
        seed=check_seed(asked.get("seed", 0)),
        temperature=float(how.temperature),
        top_k=how.top_k,
        top_p=float(how.top_p),
        guidance=checks.number(asked.get("guidance", best.guidance), "guidance", 0.0, GUIDANCE_LIMIT),
    )
    plan = plan_of(m, how, recipe.guidance, np.zeros(1, np.float32))
    return CodesResolved(recipe, bundle, plan, ignored, said[said != m.pad])


def plan_of(m: CodesManifest, how: Sampling, guidance: float, condition: Condition) -> TokenPlan:
    """A piece of `frames` frames that hears a condition (C,)."""
    weights = [weight for weight in guided(guidance) if weight]
    heard = np.stack([condition, np.zeros_like(condition)])[: len(weights), None]
    if guidance == 0.0:
        heard = np.zeros_like(condition)[None, None]
    return TokenPlan(
        sizes=(m.words,) * m.codebooks,
        delays=m.delays,
        frames=m.frames,
        conditions=np.broadcast_to(heard, (len(weights), m.frames + m.codebooks - 1, len(condition))),
        sees=np.ones((len(weights), m.codebooks), np.bool_),
        mix=np.tile(np.array(weights), (m.codebooks, 1)),
        sampling=(how,) * m.codebooks,
    )


def job_of(network: CodesNetwork, condition: Condition, seed: int, how: Sampling, guidance: float) -> TokenJob:
    """The job of a piece; its tokens are (codebooks, frames)."""
    m = manifest_of(network.bundle)
    plan = plan_of(m, how, guidance, condition)
    return TokenJob(network, plan, lambda: gumbels(seed, TOKENS, 0, m.codebooks, m.frames, m.words))


def codes_job(network: CodesNetwork, resolved: CodesResolved) -> TokenJob:
    recipe = resolved.recipe
    how = Sampling(recipe.temperature, recipe.top_k, recipe.top_p)
    return job_of(network, network.condition(resolved.tokens), recipe.seed, how, recipe.guidance)


def finish(job: TokenJob, resolved: CodesResolved) -> Sound:
    """What was said as a sound; takes longer than a tick should."""
    network = job.network
    assert isinstance(network, CodesNetwork)
    audio = np.ascontiguousarray(network.heard(job.tokens).T)
    rate = manifest_of(network.bundle).rate_hz
    recipe = resolved.recipe
    return Sound(audio, rate, recipe.to_dict(), recipe.id, resolved.ignored, network.made_by)


__all__ = ["CodesNetwork", "CodesRecipe", "CodesResolved", "codes_job", "finish", "from_dict", "job_of", "open_codes"]
