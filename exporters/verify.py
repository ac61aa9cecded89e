"""`cadenza verify`: every sampler through the engine's arithmetic and the loop graph, against the float64 reference.

All three run the same step graph of the bundle on each backend that is installed: the reference combines in float64
(`Plan.run`), the host loop is the engine's own `Job`, the loop graph does everything in one call. Samplers are proved on the
plain step graph; those that read more run the recommended tables and one guided plan, as only their own weights are new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..assets.bundle import Bundle
from ..assets.inputs import Encoded, loop_of
from ..assets.manifest import Words, grain_shape, input_shapes
from ..runtime.engine.backends import BACKENDS, Graph, open_backend
from ..runtime.engine.job import Job, start
from ..runtime.engine.loop import loop_inputs
from ..runtime.engine.network import decode_inputs
from ..runtime.plans import plan_of_table, process_of
from ..runtime.solver import Plan, Process, compile_plan
from ..runtime.solver.analytic import exact_model
from ..runtime.solver.live import run_live
from ..runtime.solver.samplers import LIVE, SAMPLERS
from .precision import PRECISIONS

TOLERANCE = 1e-4
"""Largest difference over the largest value at a stage: a float32 graph against float64."""
LEVELS = (9.0, 1.5, 0.3, 0.0)
"""Noise ratios that every process has and float32 can bear: steps from 80 lose a small latent under large ones."""
GUIDANCE = 3.0
"""Above 1, so that every column of a plan is used; the recommended tables are run with their own."""
PROCESSORS = ("onnxruntime", "openvino")
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Check:
    """One plan on one backend. Errors are relative; `diverges` names the first stage outside the tolerance."""

    backend: str
    sampler: str  # with ", step_NAME" behind it where that is not the plain step graph
    steps: int
    guidance: float
    host: float
    loop: float | None  # None where the bundle has no loop graph
    decoded: float
    diverges: str | None


def check_bundle(
    bundle: Bundle, more: Mapping[str, Any] | None = None, samplers: Iterable[str] = (*SAMPLERS, *LIVE)
) -> dict[str, Any]:
    """The report: a check for every recommended table, sampler and backend, the bits' independence of company, what the other
    graphs answer on each backend, and `more`."""
    backends = installed()
    runs = _runs(bundle, list(_plans(bundle, samplers)))
    checks: list[Check] = []
    bits: dict[str, Any] = {}
    answers: dict[str, Array] = {}
    others: dict[str, dict[str, Array]] = {}
    with tqdm(total=len(backends) * len(runs), desc="verify", unit="plan", delay=1.0) as bar:
        for backend in backends:
            graphs = {name: open_backend(backend)(bundle.path(name), 1) for name in bundle.manifest.graphs}
            answers[backend], alike = _bits(bundle, backend, graphs["step"])
            bits[backend] = {**graphs["step"].identity.to_dict(), **alike}
            others[backend] = _others(bundle, graphs)
            for step, sampler, guidance, plan in runs:
                checks.append(_check(bundle, backend, graphs, step, sampler, guidance, plan))
                bar.update()
    tolerance, first = tolerance_of(bundle), backends[0]
    apart = {backend: short(relative(answer, answers[first])) for backend, answer in answers.items()}
    beside = {
        backend: {name: short(relative(answer, others[first][name])) for name, answer in made.items()}
        for backend, made in others.items()
    }
    errors = dict(apart)
    errors |= {f"{backend}, {name}": error for backend, made in beside.items() for name, error in made.items()}
    failed = [f"{where}: {_said(where, first)}" for where, error in errors.items() if not error <= tolerance]
    failed += [f"{check.backend}, {check.sampler}: {check.diverges}" for check in checks if check.diverges]
    return {
        "bundle": bundle.manifest.name,
        "tolerance": tolerance,
        "passed": not failed,
        "first_divergence": failed[0] if failed else None,
        "bits": bits,
        "apart": apart,
        **({"others": beside} if any(beside.values()) else {}),
        **(more or {}),
        "checks": [asdict(check) for check in checks],
        "bytes": {name: (bundle.folder / name).stat().st_size for name in sorted(bundle.manifest.files)},
    }


def installed() -> list[str]:
    """The backends on this processor that are there."""
    return [name for name in PROCESSORS if find_spec(BACKENDS[name][0]) is not None]


def tolerance_of(bundle: Bundle) -> float:
    """TOLERANCE, or that of the precision the bundle was exported in."""
    precision = PRECISIONS.get(str(bundle.manifest.provenance.get("precision")))
    return TOLERANCE if precision is None else precision.tolerance


def asked(bundle: Bundle, rng: np.random.Generator, step: str = "step") -> dict[str, Array]:
    """What a step graph reads beside latent and time, at the smallest size: each (2, 1, ...), the second what is guided away
    from."""
    return {name: _asked(bundle, rng, name, size) for name, size in _conditions(bundle, step).items()}


def decoder_grain(bundle: Bundle, rng: np.random.Generator) -> Array | None:
    """The noise that goes into the decoder with one latent of the smallest size, where it takes any."""
    grain = grain_shape(bundle.manifest, *smallest_cells(bundle))
    return None if grain is None else rng.standard_normal((1, *grain), np.float32)


def _said(where: str, first: str) -> str:
    """A backend's answers differ from themselves only where they are no numbers."""
    return "answers that are not finite" if where.split(", ")[0] == first else f"answers that are not {first}'s"


def _runs(bundle: Bundle, plans: list[tuple[str, float, Plan]]) -> list[tuple[str, str, float, Plan]]:
    """(step graph, name in the report, guidance, plan)."""
    runs = [("step", *each) for each in plans]
    few = plans[: len(bundle.manifest.recommended) + 1]
    for name in _reading(bundle):
        runs += [(name, f"{sampler}, {name}", guidance, plan) for sampler, guidance, plan in few]
    return runs


def _reading(bundle: Bundle) -> list[str]:
    """Step graphs beside the plain one."""
    return [name for name in bundle.steps.values() if name != "step"]


def _plans(bundle: Bundle, samplers: Iterable[str]) -> Iterator[tuple[str, float, Plan]]:
    manifest = bundle.manifest
    process = process_of(manifest)
    for table in manifest.recommended:
        yield table.sampler, table.guidance, plan_of_table(manifest, table, table.guidance)
    for sampler in samplers:
        yield (
            sampler,
            GUIDANCE,
            _live(sampler, process, manifest.prediction)
            if sampler in LIVE
            else compile_plan(sampler, LEVELS, len(LEVELS) - 1, process, manifest.prediction, guidance=GUIDANCE),
        )


def _live(sampler: str, process: Process, prediction: str) -> Plan:
    """The plan of the steps that a live sampler takes on the reference mixture: by it a result of one is made again."""
    start = np.linspace(-2.0, 2.0, 64)
    model = exact_model(process, prediction)
    return run_live(sampler, LEVELS, process, prediction, model, start, np.zeros_like, guidance=GUIDANCE)[1]


def _asked(bundle: Bundle, rng: np.random.Generator, name: str, size: tuple[int, ...]) -> Array:
    """An input, and what it is guided away from (2, 1, ...): numbers at random; of a vocabulary at most two words each,
    since all words at once under guidance lead far out of what a decoder was made for."""
    given = rng.random((2, 1, *size), np.float32)
    if name == "condition" and isinstance(bundle.manifest.conditioning, Words):
        for one in given[:, 0]:
            one[rng.permutation(size[-1])[2:]] = 0.0
    return given


def _check(
    bundle: Bundle, backend: str, graphs: Mapping[str, Graph], name: str, sampler: str, guidance: float, plan: Plan
) -> Check:
    tolerance = tolerance_of(bundle)
    rng = np.random.default_rng(7)
    shape = (bundle.manifest.latent.channels, *smallest_cells(bundle))
    given = asked(bundle, rng, name)
    first = rng.standard_normal((1, *shape), np.float32)
    draws = rng.standard_normal((max(1, plan.noise_draws), 1, *shape), np.float32)
    step, loop = graphs[name], graphs.get(loop_of(name))

    def model(x: NDArray[Any], time: float, conditional: bool) -> Array:
        which = 0 if conditional else 1
        inputs = {"latent": x.astype(np.float32), "time": np.full(1, time, np.float32)}
        return step.run({**inputs, **{name: value[which] for name, value in given.items()}})["raw"]

    seen: list[NDArray[Any]] = []

    def watched(x: NDArray[Any], time: float, conditional: bool) -> Array:
        if conditional:
            seen.append(x)
        return model(x, time, conditional)

    latent = plan.run(watched, first, lambda k: draws[k])
    inputs, host = _host(plan, model, first[0], draws[:, 0])
    expected = [*seen, latent]
    errors = [relative(ours, theirs) for ours, theirs in zip([*inputs, host[None]], expected, strict=True)]
    stages = [*(f"input of row {row + 1} of {plan.rows}" for row in range(plan.rows)), "latent"]
    diverges = next((f"host loop, {s}" for s, e in zip(stages, errors, strict=True) if not e <= tolerance), None)
    looped = None
    if loop is not None:
        looped = relative(_loop(loop, plan, first, draws, given), latent)
        if not looped <= tolerance and diverges is None:
            diverges = f"loop graph, {_first_row(loop, plan, model, first, draws, given, tolerance)}"
    noise = decoder_grain(bundle, rng)
    maps, wanted = (
        graphs["decode"].run(decode_inputs(x.astype(np.float32), noise))["maps"] for x in (host[None], latent)
    )
    decoded = relative(maps, wanted)
    if "finish" in graphs:  # then those were the decoder's colours
        maps, wanted = (graphs["finish"].run({"colours": each})["maps"] for each in (maps, wanted))
        decoded = max(decoded, relative(maps, wanted))
    if not decoded <= tolerance and diverges is None:
        diverges = "decoded maps"
    return Check(
        backend,
        sampler,
        plan.rows,
        guidance,
        short(max(errors)),
        None if looped is None else short(looped),
        short(decoded),
        diverges,
    )


def _host(plan: Plan, model: Any, first: Array, draws: Array) -> tuple[list[Array], Array]:
    """(model inputs (1, C, h, w) a row, latent (C, h, w)) as the engine computes them."""
    job = Job(
        network=None,  # type: ignore[arg-type]  # the model is called here
        plan=plan,
        shape=first.shape,
        begin=lambda: start(plan, first, None, lambda k: draws[k]),
        condition=np.zeros((2, 0), np.float32),
        draw=lambda k: draws[k],
    )
    inputs = []
    for row in range(plan.rows):
        x = job.inputs()[None]
        inputs.append(x)
        time = float(job.table.time[row])
        job.advance(model(x, time, True)[0], model(x, time, False)[0] if job.table.guided[row] else None)
    return inputs, job.latent


def _loop(graph: Graph, plan: Plan, first: Array, draws: Array, given: Mapping[str, Array]) -> Array:
    return graph.run(loop_inputs(plan, first, lambda k: draws[k], given))["latent"]


def _first_row(
    graph: Graph, plan: Plan, model: Any, first: Array, draws: Array, given: Mapping[str, Array], tolerance: float
) -> str:
    """The first row after which slot 0 of the loop graph is not the reference's."""
    for rows in range(1, plan.rows + 1):
        part = _cut(plan, rows)
        if (
            not relative(_loop(graph, part, first, draws, given), part.run(model, first, lambda k: draws[k]))
            <= tolerance
        ):
            return f"row {rows} of {plan.rows}"
    return "latent"


def _cut(plan: Plan, rows: int) -> Plan:
    """The plan's first rows; draws that are needed no more keep their numbers."""
    part = {name: getattr(plan, name)[:rows] for name in ("read", "time", "mix", "blend")}
    draws = plan.draws[: rows + 1]
    return replace(plan, **part, draws=draws, intervals=plan.intervals[: int(draws.max(initial=-1)) + 1])


def _bits(bundle: Bundle, backend: str, step: Graph) -> tuple[Array, dict[str, bool]]:
    """(answers to three samples, whether a sample has the same bits alone, in a batch of 3, in another slot, with 2 threads)."""
    inputs = _three(bundle, "step")
    two = open_backend(backend)(bundle.path("step"), 2)
    alone = [step.run({name: array[i : i + 1] for name, array in inputs.items()})["raw"][0] for i in range(3)]
    batch = step.run(inputs)["raw"]
    turned = step.run({name: np.ascontiguousarray(array[::-1]) for name, array in inputs.items()})["raw"][::-1]
    return batch, {
        "same_in_any_batch": np.array_equal(alone, batch) and np.array_equal(batch, turned),
        "same_with_two_threads": np.array_equal(two.run(inputs)["raw"], batch),
    }


def _three(bundle: Bundle, step: str) -> dict[str, Array]:
    """Inputs of a step graph for three samples."""
    rng = np.random.default_rng(3)
    return {
        "latent": rng.standard_normal((3, bundle.manifest.latent.channels, *smallest_cells(bundle)), np.float32),
        "time": np.array([0.9, 0.5, 0.1], np.float32),
        **{name: rng.random((3, *size), np.float32) for name, size in _conditions(bundle, step).items()},
    }


def _others(bundle: Bundle, graphs: Mapping[str, Graph]) -> dict[str, Array]:
    """What the graphs answer that no sampler runs on a plain step: step graphs that read more, and encoders."""
    answers = {name: graphs[name].run(_three(bundle, name))["raw"] for name in _reading(bundle)}
    for name, given in _encoder_inputs(bundle).items():
        made = graphs[name].run(given)
        answers |= {name if len(made) == 1 else f"{name}, {output}": array for output, array in made.items()}
    return answers


def _encoder_inputs(bundle: Bundle) -> dict[str, dict[str, Array]]:
    """Inputs of each encoder of a bundle: a prompt's tokens, and pictures at random."""
    manifest, rng = bundle.manifest, np.random.default_rng(4)
    sides = {given.graph: (given.side, given.side) for given in manifest.inputs.values() if isinstance(given, Encoded)}
    if "encode_image" in manifest.graphs:
        height, width = smallest_cells(bundle)
        sides["encode_image"] = height * manifest.latent.factor, width * manifest.latent.factor
    text = {"encode_text": tokens_of(bundle)} if "encode_text" in manifest.graphs else {}
    return {**text, **{name: {"image": rng.random((1, 3, *size), np.float32)} for name, size in sides.items()}}


def tokens_of(bundle: Bundle) -> dict[str, Array]:
    """The text encoder's inputs for a prompt."""
    return {"tokens": bundle.parse_prompt(bundle.example)[0][None]}


def _conditions(bundle: Bundle, step: str) -> dict[str, tuple[int, ...]]:
    """Conditions of a step graph by name, without the batch axis, beside the smallest latent."""
    inputs = input_shapes(bundle.manifest, step, *smallest_cells(bundle))
    return {"condition": (bundle.condition_size,), **inputs}


def smallest_cells(bundle: Bundle) -> tuple[int, int]:
    """The smallest latent (height, width) the bundle makes, one side longer by one multiple; a sound is one cell high."""
    latent = bundle.manifest.latent
    if bundle.manifest.kind == "sound":
        return 1, min(8, latent.maximum // latent.factor)
    longer = min(latent.minimum + latent.multiple, latent.maximum)
    return latent.minimum // latent.factor, longer // latent.factor


def relative(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """Largest difference over the largest value; infinite where a number is not finite."""
    if not (np.all(np.isfinite(ours)) and np.all(np.isfinite(theirs))):
        return float("inf")
    return float(np.abs(ours - theirs).max() / max(float(np.abs(theirs).max()), 1e-30))


def short(error: float) -> float:
    """Two digits: the report is a file of the bundle and should not change with every rounding."""
    return float(f"{error:.1e}")
