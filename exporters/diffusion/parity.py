"""A bundle against diffusers' own pipeline: the same prompt, start and step noise, compared stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...assets.bundle import Bundle
from ...assets.manifest import Recommended
from ...assets.refusal import Refusal
from ...runtime.engine.backends import Graph, open_backend
from ...runtime.plans import plan_of_table
from ...runtime.solver import Plan
from ..verify import TOLERANCE, relative, short
from .beside import Beside
from .calibrate import field_of
from .maps import maps_of
from .parts import Parts, spread_of
from .pictures import as_maps, check_painted
from .pipeline_call import own_result, own_text

Array = NDArray[np.float32]
SIDE = 32
"""Cells a side, at most."""
LISTED = 16
"""Rows are listed for tables of at most so many steps, and for one that diverges."""
PROMPT = "low wall of stones"


@dataclass(frozen=True)
class Compared:
    """Relative errors by stage in the order of the computation, and the last picture of both, where there is one.

    `errors` are the largest over all seeds, as sentences where diffusers cannot do the same; `means` those of the mean error.
    """

    errors: dict[str, Any]
    means: dict[str, float]
    ours: Array
    theirs: Array | None


class Errors:
    """Largest and mean errors over the largest value, gathered by stage in the order in which stages are first seen."""

    def __init__(self) -> None:
        self.largest: dict[str, Any] = {}
        self._means: dict[str, list[float]] = {}

    def add(self, stage: str, ours: NDArray[Any], theirs: NDArray[Any]) -> float:
        """The largest error of these, to two digits."""
        error = short(relative(ours, theirs))
        self.largest[stage] = max(self.largest.get(stage, 0.0), error)
        mean = float(np.abs(ours - theirs).mean() / max(float(np.abs(theirs).max()), 1e-30))
        self._means.setdefault(stage, []).append(mean)
        return error

    @property
    def means(self) -> dict[str, float]:
        return {stage: short(sum(each) / len(each)) for stage, each in self._means.items()}


@torch.no_grad()
def against_pipeline(
    pipe: Any, bundle: Bundle, parts: Parts, seeds: Sequence[int] = (7,), backends: Sequence[str] = ("onnxruntime",)
) -> Compared:
    """The condition; for each seed and recommended step count what the network is given at each row, the latent and what is
    painted. Stages are of the first backend; of the others the condition, the latents and the maps have names of their own."""
    names = ("step", "encode_text", "decode")
    opened: dict[str, dict[str, Graph]] = {
        b: {name: open_backend(b)(bundle.path(name), 1) for name in names} for b in backends
    }
    conditions = {b: conditions_of(bundle, graphs["encode_text"], parts.told.numpy()) for b, graphs in opened.items()}
    first, *others = backends
    more, call = parts.beside(field_of(parts, SIDE))
    parts = replace(parts, call={**parts.call, **call})
    for graphs in opened.values():
        graphs["step"] = Beside(graphs["step"], more)
    text, arguments = own_text(pipe, parts, PROMPT)
    errors = Errors()
    errors.add("text", conditions[first][0, :, : parts.size], text)
    picture = None
    for table, seed in product(bundle.manifest.recommended, seeds):
        plan = plan_of_table(bundle.manifest, table)
        start, draws = noise_of(parts, plan, seed)
        given: list[Array] = []
        ours = _ours(opened[first]["step"], plan, conditions[first], start, draws, given)
        seen: list[Array] = []
        latent = own_result(pipe, parts, bundle.manifest, table, arguments, start, draws, seen=seen)
        stage = f"latent, {table.steps} steps"
        if latent is None:
            errors.largest[stage], picture = "no scheduler of diffusers takes this grid", None
            continue
        if table.steps <= LISTED or not relative(ours, latent) <= TOLERANCE:
            for row, (mine, its) in enumerate(zip(given, seen, strict=False), 1):
                errors.add(f"input of row {row} of {table.steps}", mine, its)
        errors.add(stage, ours, latent)
        for other in others:
            made = latent_of(opened[other]["step"], plan, conditions[other], start, draws)
            errors.add(f"{stage}, {other}", made, latent)
        picture = table, start, draws
        if f"{unrolled_name(table.steps)}.onnx" in bundle.manifest.files and table.guidance == 1.0:
            once = _unrolled(bundle, table, conditions[first], start, draws, first)
            errors.add(f"unrolled, {table.steps} steps", once, ours)
    if parts.encode is not None:
        errors.add("encoded", *_encoded(pipe, bundle, parts, first))
    maps = opened[first]["decode"].run({"latent": ours})["maps"]
    decoded = _decoded(parts, ours)[:, : maps.shape[1]]  # colours only, where tiles are put together first
    errors.add("decoded", maps, decoded)
    for other in others:
        errors.add(f"text, {other}", conditions[other][0, :, : parts.size], text)
        errors.add(f"decoded, {other}", opened[other]["decode"].run({"latent": ours})["maps"], decoded)
    check_painted(maps, parts)
    theirs = None
    if picture is not None:
        result = own_result(pipe, parts, bundle.manifest, picture[0], arguments, *picture[1:], output="np")
        assert result is not None
        theirs = as_maps(parts, result)
        errors.add(
            "painted", maps[:, : theirs.shape[1], :, : theirs.shape[3]], theirs
        )  # a sound may lose its last sample
    return Compared(errors.largest, errors.means, maps[:, :3], theirs)


def _encoded(pipe: Any, bundle: Bundle, parts: Parts, backend: str) -> tuple[Array, Array]:
    """What the picture encoder makes of noise, and the autoencoder that the pipeline holds."""
    side = 2 * parts.latent.multiple
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    made = open_backend(backend)(bundle.path("encode_image"), 1).run({"image": image.numpy()})["latent"]
    encoded = pipe.vae.encode(pipe.image_processor.normalize(image))
    latent = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
    spread = spread_of(pipe.vae) if "XL" in type(pipe).__name__ else None
    if spread is not None:
        return made, ((latent - spread[0]) * pipe.vae.config.scaling_factor / spread[1]).numpy()
    shift = getattr(pipe.vae.config, "shift_factor", None) or 0.0
    return made, ((latent - shift) * pipe.vae.config.scaling_factor).numpy()


def _decoded(parts: Parts, latent: Array) -> Array:
    """Maps of a latent, by torch."""
    decoded: Array = maps_of(parts)(torch.from_numpy(latent)).numpy()
    return decoded


def conditions_of(bundle: Bundle, encoder: Graph, told: Array) -> Array:
    tokens = [bundle.parse_prompt(PROMPT)[0], bundle.parse_negative("")[0]]
    return np.stack([np.hstack([encoder.run({"tokens": t[None]})["condition"], told]) for t in tokens])


def unrolled_name(steps: int) -> str:
    return f"unrolled_{steps}"


def _unrolled(bundle: Bundle, table: Recommended, conditions: Array, start: Array, draws: Array, backend: str) -> Array:
    """The latent of the graph without a loop, of a table without guidance."""
    path = bundle.folder / f"{unrolled_name(table.steps)}.onnx"
    given = {"start": start, "condition": conditions[:1]}
    if len(draws):
        given["noise"] = draws
    return open_backend(backend)(path, 1).run(given)["latent"]


def noise_of(parts: Parts, plan: Plan, seed: int) -> tuple[Array, Array]:
    """(start, step noise); of a sound as long as the pipeline makes, of a picture at most SIDE cells."""
    rng = np.random.default_rng(seed)
    shape = field_of(parts, SIDE)
    return rng.standard_normal(shape, np.float32), rng.standard_normal((plan.noise_draws, *shape), np.float32)


def latent_of(step: Graph, plan: Plan, conditions: Array, start: Array, draws: Array) -> Array:
    """What a step graph and a plan make of a start."""
    return _ours(step, plan, conditions, start, draws, [])


def _ours(step: Graph, plan: Plan, conditions: Array, start: Array, draws: Array, given: list[Array]) -> Array:
    """The latent; what the network is given at each row is added to `given`."""

    def model(x: NDArray[Any], time: float, conditional: bool) -> Array:
        given.append(x.astype(np.float32))
        condition = conditions[0 if conditional else 1]
        return step.run({"latent": x.astype(np.float32), "time": np.full(1, time, np.float32), "condition": condition})[
            "raw"
        ]

    return plan.run(model, start, lambda k: draws[k]).astype(np.float32)


def check(errors: Mapping[str, Any], tolerance: float) -> None:
    """Refuses errors outside the tolerance, naming the first stage."""
    for stage, error in errors.items():
        if isinstance(error, float) and not error <= tolerance:
            raise Refusal(
                "diverged", f"diffusers, {stage}", f"differs by {error:g}, more than {tolerance:g}",
                "report it with the pipeline's config",
            )  # fmt: skip
