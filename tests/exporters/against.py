"""What a bundle paints when it is asked over a socket, against diffusers' pipeline with the same noise."""

import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from cadenza.bridge import connect
from cadenza.bridge.server import serve
from cadenza.exporters.diffusion.pipeline_call import own_result, own_text
from cadenza.exporters.diffusion.planning import Options, parts_of
from cadenza.exporters.verify import relative
from cadenza.runtime.draws import StepDraws
from cadenza.runtime.flight import shape
from cadenza.runtime.looking import Workbench
from cadenza.runtime.runtime import Runtime

TOLERANCE = 1e-4


@contextmanager
def at_work(folder, home, backend="onnxruntime"):
    """A connection over a socket to a runtime that serves the bundle."""
    bound, ready, stop = [], threading.Event(), threading.Event()

    def announce(address):
        bound.append(address)
        ready.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(home))
        with Runtime([folder], backend, threads=1) as runtime:
            told = dict(ready=announce, stop=stop)
            thread = threading.Thread(target=serve, args=(runtime, "tcp://127.0.0.1:*"), kwargs=told)
            thread.start()
            try:
                assert ready.wait(20)
                with connect(bound[0]) as game:
                    yield game
            finally:
                stop.set()
                thread.join(10)


def assert_painted(pipe, own, bundle, asked, texture, told, run=own_result):
    """The latent of a request is that of diffusers' pipeline, and what came is its picture in 8 bits."""
    bench = Workbench(bundle.folder, "onnxruntime", bundle.folder.parent / "proofs")
    run_here = bench.run(asked)
    recipe, plan, size = run_here.resolved.recipe, run_here.resolved.plan, shape(run_here.resolved)
    draw = StepDraws(recipe, plan, size)
    start, draws = draw.initial()[None], np.zeros((plan.noise_draws, 1, *size), np.float32)
    for k in range(plan.noise_draws):
        draws[k] = draw(k)
    table = next(table for table in bundle.manifest.recommended if table.steps == recipe.steps)
    parts = parts_of(pipe, Options())
    _, arguments = own_text(pipe, parts, recipe.prompt)
    parts = replace(parts, call={**parts.call, **told})
    latent, picture = (
        run(own, parts, bundle.manifest, table, arguments, start, draws, output=o) for o in ("latent", "np")
    )
    assert relative(run_here.latent[None], latent) <= TOLERANCE
    assert np.abs(texture.albedo / 255 - picture[0]).max() <= 0.5 / 255 + TOLERANCE
