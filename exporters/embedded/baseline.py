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
import torch
from torch import Tensor, nn

from .networks import FACTOR, AutoencoderShape, Decoder, Denoiser, DenoiserShape, fold
from .sampling import student_times

WEIGHTS = "weights.npz"
"""Beside bundle.json: float16 arrays `denoiser.NAME` and `decoder.NAME`, names as in the modules' state."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LAYOUTS = (torch.contiguous_format, torch.channels_last)
WARM = 2


def load_networks(folder: Path) -> tuple[nn.Module, nn.Module]:
    """The denoiser and the decoder of a bundle, weights folded."""
    with np.load(folder / WEIGHTS) as arrays:
        weights = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files}
    networks = Denoiser(DenoiserShape()), Decoder(AutoencoderShape())
    for name, network in zip(("denoiser", "decoder"), networks, strict=True):
        network.load_state_dict(_part(weights, f"{name}."))
        fold(network)
    return networks


def _part(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


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
    if not (asked.bundle / WEIGHTS).is_file():
        reasons = dict.fromkeys(DTYPES, f"the bundle has no {WEIGHTS} with torch weights")
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
