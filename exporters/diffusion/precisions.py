"""What each precision costs: the error of model evaluations, latents and pictures against float32, and the bytes of weights."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ...assets.bundle import Bundle
from ...runtime.engine.backends import Graph, open_backend
from ...runtime.plans import plan_of_table
from ..measured import least
from ..precision import PRECISIONS, quantized
from ..verify import installed, relative, short
from ..weights import FILE, GraphFiles
from .calibrate import trajectories
from .parity import conditions_of, noise_of
from .parts import Parts

Array = NDArray[np.float32]
SEEDS = (7, 8, 9)


def precision_figures(bundle: Bundle, parts: Parts, backend: str = "onnxruntime") -> dict[str, dict[str, Any]]:
    """Of a bundle in float32, by precision, for its default table and the seeds SEEDS:

    step     largest error of single evaluations, on the inputs of the float32 run, over the largest value
    latent   largest error of the latent at the end, over its largest value
    picture  mean error of the maps, over their largest value: latent and decoder both in the precision
    bytes    of the weights of step and decoder
    seconds  of one evaluation on each backend that is installed, one thread, the least of some
    """
    load = open_backend(backend)
    table = bundle.manifest.recommended[-1]
    plan = plan_of_table(bundle.manifest, table)
    conditions = conditions_of(bundle, load(bundle.path("encode_text"), 1), parts.told.numpy())
    noises = [noise_of(parts, plan, seed) for seed in SEEDS]
    more, _ = parts.beside(noises[0][0].shape)
    asked: list[dict[str, Array]] = []

    def run(step: Graph, decode: Graph, noted: bool) -> tuple[Array, Array]:
        """(latents, maps) of all seeds; what the network is given is noted in `asked`."""

        def model(x: NDArray[Any], time: float, conditional: bool) -> Array:
            given = {"latent": x.astype(np.float32), "time": np.full(1, time, np.float32), **more}
            given["condition"] = conditions[0 if conditional else 1]
            if noted:
                asked.append(given)
            return step.run(given)["raw"]

        latents = [plan.run(model, start, lambda k, d=draws: d[k]).astype(np.float32) for start, draws in noises]  # type: ignore[misc]
        return np.stack(latents), np.stack([decode.run({"latent": latent})["maps"] for latent in latents])

    exact = load(bundle.path("step"), 1)
    latents, maps = run(exact, load(bundle.path("decode"), 1), noted=True)
    raws = [exact.run(given)["raw"] for given in asked]
    figures = {}
    for name in PRECISIONS:
        with tempfile.TemporaryDirectory() as folder:
            size = _write(Path(folder), name, bundle, parts)
            step, decode = (load(Path(folder) / f"{graph}.onnx", 1) for graph in ("step", "decode"))
            own_latents, own_maps = run(step, decode, noted=False)
            seconds = {b: _seconds(Path(folder) / "step.onnx", b, asked[0]) for b in installed()}
            errors = [relative(step.run(given)["raw"], raw) for given, raw in zip(asked, raws, strict=True)]
        figures[name] = {
            "step": short(max(errors)),
            "latent": short(relative(own_latents, latents)),
            "picture": short(float(np.abs(own_maps - maps).mean() / np.abs(maps).max())),
            "bytes": size,
            "seconds": seconds,
        }
    return figures


def _seconds(path: Path, backend: str, given: dict[str, Array]) -> float:
    step = open_backend(backend)(path, 1)
    seconds = least(lambda: step.run(given))
    getattr(step, "settle", lambda: None)()  # OpenVINO may still read the file, which is gone soon
    return float(f"{seconds:.3g}")


def _write(folder: Path, name: str, bundle: Bundle, parts: Parts) -> int:
    """Writes step and decoder in a precision; the bytes of their weights."""
    precision = PRECISIONS[name]
    step, decode = (onnx.load(bundle.path(graph)) for graph in ("step", "decode"))
    if precision.static:
        step = quantized(step, trajectories(parts, bundle.manifest))
    with GraphFiles(folder, precision.rest) as graphs:
        graphs.add("step", step, precision.step)
        graphs.add("decode", decode)
    return (folder / FILE).stat().st_size
