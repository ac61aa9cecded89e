"""What `cadenza bench` measures, a function a figure. Whatever is compared is timed in turn, in one run, and its median taken."""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..assets.refusal import Refusal
from ..bridge import Game, connect
from ..bridge.inproc import InprocGame
from ..runtime.draws import StepDraws, initial
from ..runtime.engine.backends import AUTO, open_backend
from ..runtime.engine.job import Job, start
from ..runtime.engine.loop import loop_inputs
from ..runtime.flight import shape
from ..runtime.runtime import Runtime

STEPS = 4
REST_S = 0.02
COLD_STARTS = 5
TORCH = "cadenza.exporters.embedded.baseline"
"""Run as a program of its own: nothing of the runtime imports the exporters or torch."""
TORCH_WAYS = {
    "float32": "float32",
    "bfloat16": "bfloat16",
    "folded_float32": "folded float32",
    "folded_bfloat16": "folded bfloat16",
}
"""Name in a figure to what that program calls it: the modules as trained in a plain loop, and torch at its best."""
WARM_REQUESTS = 5
"""After so many at one size a backend that makes graphs for sizes in use has asked for them."""
SETTLE_S = 2.0
"""How long a server in another process is given to make them."""

COLD = """
import sys
import cadenza
with cadenza.connect("inproc", bundles=[sys.argv[1]], backend=sys.argv[2]) as game:
    game.texture(sys.argv[3], seed=1, size=128, steps=int(sys.argv[4]))
    print("made", flush=True)
    sys.stdin.read()
"""

Turn = Callable[[], Any]


@dataclass(frozen=True)
class Bench:
    """A bundle to measure with: every request has the same prompt and step count and a seed of its own."""

    folder: Path
    prompt: str
    rounds: int
    tick: Turn  # called after each round, for a progress bar

    def request(self, seed: int, size: int = 128) -> dict[str, Any]:
        return {"prompt": self.prompt, "seed": seed, "size": size, "steps": STEPS}


@dataclass(frozen=True)
class Made:
    """Milliseconds of one request: as its caller saw it, and of that the model's and the decoder's calls."""

    whole: float
    calls: float

    @property
    def overhead(self) -> float:
        return 1.0 - self.calls / self.whole


def make(game: Game, request: dict[str, Any]) -> Made:
    began = time.perf_counter()
    texture = game.submit(request).result()
    whole = 1e3 * (time.perf_counter() - began)
    return Made(whole, texture.milliseconds["model"] + texture.milliseconds["decode"])


def in_turn(bench: Bench, turns: dict[Any, Callable[[int], Any]]) -> dict[Any, list[Any]]:
    """What each turn gives for the seeds 1, 2, ...; the first round of all is warming up and not counted.

    Before each is a rest, in which threads that spin after a call, as torch's do, have gone to sleep.
    """
    found: dict[Any, list[Any]] = {name: [] for name in turns}
    for seed in range(bench.rounds + 1):
        for name, turn in turns.items():
            time.sleep(REST_S)
            result = turn(seed)
            if seed:
                found[name].append(result)
        bench.tick()
    return found


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median of the ratios of what was measured in one round."""
    return median([a / b for a, b in zip(above, below, strict=True)])


def backends_here(graph: Path) -> list[str]:
    """What this machine has of the processor's backends and precisions."""
    found = []
    for name in (*AUTO, "openvino:bf16"):
        try:
            open_backend(name)(graph, 1)
        except Refusal:  # not installed, or not with this processor
            continue
        found.append(name)
    return found


def steady(bench: Bench, runtimes: dict[str, Runtime]) -> None:
    """Lets every runtime come to rest: sizes that are measured have been met, and graphs made for them are in use."""
    for runtime in runtimes.values():
        game = InprocGame(runtime, owned=False)
        for size in (128, 256):
            for seed in range(WARM_REQUESTS):
                make(game, bench.request(seed, size))
        steady_graphs(runtime)
    gc.collect()
    gc.freeze()  # as `cadenza serve` does


def steady_graphs(runtime: Runtime) -> None:
    for network in runtime.networks.values():
        for graph in (network.step, network.decode):
            _settle(graph)


def _settle(graph: Any) -> None:
    if hasattr(graph, "settle"):
        graph.settle()


def speeds(bench: Bench, runtimes: dict[str, Runtime]) -> dict[str, dict[str, float]]:
    """Milliseconds of a request in process for every backend, at 128 and 256 px, and the overhead at 128."""
    games = {name: InprocGame(runtime, owned=False) for name, runtime in runtimes.items()}
    found = in_turn(
        bench,
        {
            (name, size): lambda seed, game=game, size=size: make(game, bench.request(seed, size))  # type: ignore[misc]
            for size in (128, 256)
            for name, game in games.items()
        },
    )
    return {
        name: {
            "ms_128": median([m.whole for m in found[name, 128]]),
            "ms_256": median([m.whole for m in found[name, 256]]),
            "overhead_inproc": median([m.overhead for m in found[name, 128]]),
            "overhead_inproc_ms": median([m.whole - m.calls for m in found[name, 128]]),
        }
        for name in games
    }


def through_the_socket(bench: Bench, backend: str, threads: int) -> dict[str, float | None]:
    """Overhead of a request to a server in a process of its own, and that process's largest resident memory."""
    with server(bench.folder, backend, threads) as (address, process), connect(address, timeout=30) as game:
        for seed in range(WARM_REQUESTS):
            make(game, bench.request(seed))
        time.sleep(SETTLE_S)
        made = in_turn(bench, {"socket": lambda seed: make(game, bench.request(seed))})["socket"]
        game.submit(bench.request(0, 256)).result()
        resident = resident_mb(process.pid)
    return {
        "overhead_socket": median([m.overhead for m in made]),
        "overhead_socket_ms": median([m.whole - m.calls for m in made]),
        "ms_128_socket": median([m.whole for m in made]),
        "resident_mb": resident,
    }


@contextmanager
def server(folder: Path, backend: str, threads: int | None = None) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`cadenza serve` in a process of its own on a free port; gives its address and the process."""
    command = [sys.executable, "-m", "cadenza", "serve", "--bind", "tcp://127.0.0.1:*"]
    command += ["--bundle", str(folder), "--backend", backend]
    command += ["--threads", str(threads)] if threads else []
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as process:
        try:
            yield _address(process), process
        finally:
            process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    """What the server says that it serves on, after whatever it says of loading; or a refusal with what it said."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if "serving on " in line:
            return line.partition("serving on ")[2].partition(";")[0]
        said.append(line.strip())
    raise Refusal("internal", "server", f"did not start: {' '.join(said)[-500:]}", "run `cadenza serve` to see why")


def resident_mb(pid: int) -> float | None:
    """The largest resident memory of a process so far, in MB; None where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) / 1e3


def loop_ratio(bench: Bench, runtime: Runtime, backend: str, threads: int) -> tuple[float | None, str]:
    """The whole loop as one graph over the engine's loop on the host, noise made before in both; or why there is none."""
    bundle = next(iter(runtime.bundles.values()))
    if "loop" not in bundle.manifest.graphs:
        return None, "the bundle has no loop graph"
    graph = open_backend(backend)(bundle.path("loop"), threads)
    network = runtime.networks[bundle.digest]
    resolved = runtime.resolve(bench.request(1))
    plan, latent = resolved.fixed_plan, shape(resolved)
    first, draws = initial(resolved.recipe, latent), StepDraws(resolved.recipe, resolved.plan, latent)
    made = [draws(k) for k in range(plan.noise_draws)]

    def host(_: int) -> float:
        began = time.perf_counter()
        slots = start(plan, first, None, made.__getitem__)
        job = Job(network, plan, latent, lambda: slots, resolved.condition, made.__getitem__)
        for row in range(plan.rows):
            x, time_now = job.inputs()[None], job.table.time[row : row + 1]
            raw = network.evaluate(x, time_now, job.condition[:1])[0]
            job.advance(raw, network.evaluate(x, time_now, job.condition[1:])[0] if job.table.guided[row] else None)
        return time.perf_counter() - began

    def looped(_: int) -> float:
        began = time.perf_counter()
        condition = {"condition": resolved.condition[:, None]}
        graph.run(loop_inputs(plan, first[None], lambda k: made[k][None], condition))
        return time.perf_counter() - began

    for _ in range(WARM_REQUESTS):
        looped(0)
    _settle(graph)
    found = in_turn(bench, {"host": host, "loop": looped})
    return ratio(found["loop"], found["host"]), ""


def torch_ratios(
    bench: Bench, runtimes: dict[str, Runtime], best: str, threads: int
) -> tuple[dict[str, float | None], dict[str, str]]:
    """The same weights in a torch loop over a request in process, for each way of TORCH_WAYS; and why where there is none.

    torch_ratio_*        over the best backend, whatever its precision
    torch_float32_ratio  torch's best float32 over the quickest float32 backend: like with like, the hardest comparison
    """
    if find_spec("torch") is None:
        return _torch_figures({}), {f"torch_ratio_{way}": "torch is not installed" for way in TORCH_WAYS}
    exact = [name for name, runtime in runtimes.items() if _precision(runtime) == "float32"]
    games = {name: InprocGame(runtimes[name], owned=False) for name in dict.fromkeys([best, *exact])}
    command = [sys.executable, "-m", TORCH, str(bench.folder), "--threads", str(threads), "--steps", str(STEPS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as child:
        assert child.stdin is not None
        assert child.stdout is not None
        ended = json.dumps(dict.fromkeys(TORCH_WAYS.values(), "it ended"))
        ready = json.loads(child.stdout.readline() or ended)
        there = {way: spoken for way, spoken in TORCH_WAYS.items() if not ready[spoken]}
        reasons = {f"torch_ratio_{way}": ready[spoken] for way, spoken in TORCH_WAYS.items() if way not in there}

        def torch(spoken: str, _: int) -> float:
            print(spoken, file=child.stdin, flush=True)
            return float(child.stdout.readline())  # type: ignore[union-attr]

        def own(name: str, seed: int) -> float:
            return make(games[name], bench.request(seed)).whole

        turns: dict[Any, Callable[[int], float]] = {name: partial(own, name) for name in games}
        turns |= {way: partial(torch, spoken) for way, spoken in there.items()}
        found = in_turn(bench, turns) if there else {}
        child.stdin.close()
    return _torch_figures(found, best, exact), reasons


def _torch_figures(found: dict[str, list[float]], best: str = "", exact: Sequence[str] = ()) -> dict[str, float | None]:
    figures: dict[str, float | None] = {}
    for way in TORCH_WAYS:
        there = way in found
        figures[f"torch_ratio_{way}"] = ratio(found[way], found[best]) if there else None
        figures[f"torch_ms_{way}"] = median(found[way]) if there else None
    own = min((found[name] for name in exact if name in found), key=median, default=None)
    best_torch = found.get("folded_float32")
    figures["torch_float32_ratio"] = ratio(best_torch, own) if own and best_torch else None
    return figures


def _precision(runtime: Runtime) -> str:
    precision: str = next(iter(runtime.networks.values())).step.identity.precision
    return precision


def cold_starts(bench: Bench, backend: str) -> dict[str, float]:
    """Seconds from the start of a process to its first texture: on a fresh machine, where bits are proved, and later."""
    with tempfile.TemporaryDirectory() as home:
        seconds = [_cold_start(bench, backend, home) for _ in range(COLD_STARTS + 1)]
    return {"first_start_s": seconds[0], "cold_start_s": median(seconds[1:])}


def _cold_start(bench: Bench, backend: str, home: str) -> float:
    command = [sys.executable, "-c", COLD, str(bench.folder), backend, bench.prompt, str(STEPS)]
    environment = {**os.environ, "CADENZA_HOME": home}
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=environment
    ) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise Refusal("internal", "bench", "a fresh process made no texture", "see what it printed above")
        seconds = time.perf_counter() - began
    bench.tick()
    return seconds
