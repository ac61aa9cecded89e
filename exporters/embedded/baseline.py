"""The embedded networks in a plain torch loop, eager: what `cadenza bench` compares the runtime with.

    python -m cadenza.exporters.embedded.baseline BUNDLE --threads 2

Prints one JSON line, for each dtype null or why it cannot be had. Then for each line of input, a dtype, makes one texture
as a plain script would (start, steps, fresh noise, decoder, bytes) and prints its milliseconds. The quicker of torch's two memory layouts is
taken, and the weights are folded, so that the comparison is with torch at its best short of compiling.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from .networks import FACTOR, AutoencoderShape, Decoder, Denoiser, DenoiserShape, fold
from .sampling import student_times

GRAPHS = {"step": (Denoiser, DenoiserShape, ""), "decode": (Decoder, AutoencoderShape, "decoder.")}
"""Where the bundle keeps each network's weights, under the names of its state: a graph, and what stands before the names."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LAYOUTS = (torch.contiguous_format, torch.channels_last)
WARM = 2


def load_networks(folder: Path) -> list[nn.Module]:
    """The denoiser and the decoder with the weights of a bundle, which are folded already.

    Gains are in the weights; the mean and deviation of latents became constants of the graph without a name, stay 0 and 1
    here and cost the same.
    """
    networks = []
    for graph, (network, shape, prefix) in GRAPHS.items():
        made: nn.Module = fold(network(shape()))
        model = onnx.load(str(folder / f"{graph}.onnx"))
        arrays = {t.name.removesuffix(".half"): numpy_helper.to_array(t) for t in model.graph.initializer}
        state = {name: arrays.get(prefix + name) for name in made.state_dict()}
        missing = [name for name, array in state.items() if array is None and name.endswith("weight")]
        if missing:
            raise KeyError(f"{graph}.onnx has no {missing[0]}")
        made.load_state_dict(
            {n: torch.from_numpy(a.astype(np.float32)) for n, a in state.items() if a is not None}, False
        )
        networks.append(made)
    return networks


@torch.inference_mode()
def make(denoiser: nn.Module, decoder: nn.Module, dtype: torch.dtype, layout: Any, steps: int, cells: int) -> Tensor:
    """Maps uint8 of one texture: LCM on the flow from noise, as the student was distilled for."""
    channels, words = denoiser.shape.latent, denoiser.shape.words
    condition = torch.zeros(1, words, dtype=dtype)
    condition[0, 0] = 1
    x = torch.randn(1, channels, cells, cells).to(memory_format=layout)
    times = [*student_times(steps), 0.0]
    for here, there in zip(times, times[1:], strict=False):
        raw = denoiser(x.to(dtype), torch.full((1,), here, dtype=dtype), condition)
        clean = x - here * raw
        x = clean if there == 0.0 else (1 - there) * clean + there * torch.randn_like(clean)
    maps: Tensor = (decoder(x.to(dtype)).clamp(0, 1) * 255).round().to(torch.uint8)
    return maps


def quickest(turns: Mapping[Any, Callable[[], float]]) -> Callable[[], float]:
    for _ in range(WARM):
        found = {name: turn() for name, turn in turns.items()}
    return turns[min(found, key=found.__getitem__)]


def prepare(folder: Path, dtype: torch.dtype, steps: int, size: int) -> Callable[[], float]:
    """A call that makes one texture and gives its milliseconds."""

    def turn(layout: Any) -> Callable[[], float]:
        networks = [network.to(dtype).to(memory_format=layout) for network in load_networks(folder)]

        def timed() -> float:
            began = time.perf_counter()
            make(*networks, dtype, layout, steps, size // FACTOR)
            return 1e3 * (time.perf_counter() - began)

        return timed

    return quickest({layout: turn(layout) for layout in LAYOUTS})


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--steps", type=int, default=4)
    arguments.add_argument("--size", type=int, default=128)
    asked = arguments.parse_args()
    torch.set_num_threads(asked.threads)
    reasons: dict[str, str | None] = dict.fromkeys(DTYPES)
    if not torch.cpu._is_avx512_bf16_supported() and not torch.cpu._is_amx_tile_supported():
        reasons["bfloat16"] = "this processor has no bfloat16"
    try:
        load_networks(asked.bundle)
    except (OSError, KeyError, RuntimeError) as error:  # RuntimeError: torch's word for other shapes
        reasons = dict.fromkeys(DTYPES, f"no bundle of the embedded networks: {str(error)[:200]}")
    ready = {
        name: prepare(asked.bundle, dtype, asked.steps, asked.size)
        for name, dtype in DTYPES.items()
        if reasons[name] is None
    }
    print(json.dumps(reasons), flush=True)
    for line in sys.stdin:
        print(ready[line.strip()](), flush=True)


if __name__ == "__main__":
    main()
