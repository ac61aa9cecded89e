"""The embedded networks in a plain torch loop, eager: what `cadenza bench` compares the runtime with.

    python -m cadenza.exporters.embedded.baseline BUNDLE --threads 2

Prints one JSON line, for each way null or why it cannot be had. Then for each line of input, the name of a way, makes one
texture as a script would (start, steps, fresh noise, decoder, bytes), eager, and prints its milliseconds. The ways:

    float32, bfloat16                 a plain loop, as one writes it with the training code at hand: the modules as they are
                                      trained, which normalise their weights in every call as EDM2's do, torch's own layout.
                                      bfloat16 is the quicker of `model.to(torch.bfloat16)` and `torch.autocast`
    folded float32, folded bfloat16   torch at its best short of compiling: the weights folded as the exporter folds them,
                                      and the quicker of torch's two memory layouts
"""

from __future__ import annotations

import argparse
import copy
import json
import math
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

from .networks import (
    FACTOR,
    AutoencoderShape,
    Block,
    Decoder,
    Denoiser,
    DenoiserShape,
    MPConv,
    draw_grain,
    fold,
)
from .sampling import student_times

GRAPHS = {"step": (Denoiser, DenoiserShape, ""), "decode": (Decoder, AutoencoderShape, "decoder.")}
"""Where the bundle keeps each network's weights, under the names of its state: a graph, and what stands before the names."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WAYS = {prefix + name: dtype for prefix in ("", "folded ") for name, dtype in DTYPES.items()}
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
        if isinstance(made, Denoiser):
            state["frequency"] = _frequency(arrays, len(made.frequency))
        missing = [name for name, array in state.items() if array is None and name.endswith("weight")]
        if missing:
            raise KeyError(f"{graph}.onnx has no {missing[0]}")
        made.load_state_dict(
            {n: torch.from_numpy(a.astype(np.float32)) for n, a in state.items() if a is not None}, False
        )
        networks.append(made)
    return networks


def _frequency(arrays: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """The denoiser multiplies its frequencies by 6, which the exporter does beforehand: a column without a name of its own."""
    found = [array for array in arrays.values() if array.shape == (count, 1)]
    if len(found) != 1:
        raise KeyError(f"step.onnx has {len(found)} columns of {count} numbers, one is the frequencies")
    column: np.ndarray = found[0][:, 0] / 6.0
    return column


def as_trained(folded: nn.Module) -> nn.Module:
    """The network that `fold` made this one of, up to rounding: the same function, its weights normalised in every call."""
    made = copy.deepcopy(folded)
    for module in made.modules():
        if isinstance(module, MPConv):
            if module.constant:
                module.weight, module.bias = nn.Parameter(_with_constant(module)), None
            module.folded = False
        if isinstance(module, Block) and module.modulate is not None:
            module.strength = nn.Parameter(_norm(module.modulate.weight).mean())
        if isinstance(module, Denoiser):
            module.gain = nn.Parameter(_norm(module.leave.weight).mean())
    return made.eval()


def _norm(weight: Tensor) -> Tensor:
    return weight.flatten(1).square().sum(1).sqrt()


def _with_constant(conv: MPConv) -> Tensor:
    """The weights with the channel of ones back: its taps sum to the bias, and bring each output's norm to 1."""
    taps = conv.weight[0, 0].numel()
    left = (1 - _norm(conv.weight).square() - conv.bias.square() / taps).clamp(min=0)
    beside = torch.tensor([1.0, -1.0] + [0.0] * (taps - 2)) / math.sqrt(2) if taps > 1 else torch.zeros(1)
    column = conv.bias[:, None] / taps + left.sqrt()[:, None] * beside
    return torch.cat([conv.weight, column.view(-1, 1, *conv.weight.shape[2:])], 1).detach()


@torch.inference_mode()
def make(denoiser: nn.Module, decoder: nn.Module, dtype: torch.dtype, layout: Any, steps: int, cells: int) -> Tensor:
    """Maps uint8 of one texture: LCM on the flow from noise, as the student was distilled for."""
    channels, words = denoiser.shape.latent, denoiser.shape.words
    condition = torch.zeros(1, words, dtype=dtype)
    condition[0, 0] = 1
    x = torch.randn(1, channels, cells, cells).to(memory_format=layout)
    noise = draw_grain(1, cells * FACTOR, cells * FACTOR).to(memory_format=layout)
    times = [*student_times(steps), 0.0]
    for here, there in zip(times, times[1:], strict=False):
        raw = denoiser(x.to(dtype), torch.full((1,), here, dtype=dtype), condition)
        clean = x - here * raw
        x = clean if there == 0.0 else (1 - there) * clean + there * torch.randn_like(clean)
    maps: Tensor = (decoder(x.to(dtype), noise.to(dtype)).clamp(0, 1) * 255).round().to(torch.uint8)
    return maps


def quickest(turns: Mapping[Any, Callable[[], float]]) -> Callable[[], float]:
    for _ in range(WARM):
        found = {name: turn() for name, turn in turns.items()}
    return turns[min(found, key=found.__getitem__)]


def prepare(folder: Path, way: str, steps: int, size: int) -> Callable[[], float]:
    """A call that makes one texture in one of WAYS and gives its milliseconds."""
    folded, dtype = way.startswith("folded "), WAYS[way]

    def turn(layout: Any, autocast: bool = False) -> Callable[[], float]:
        networks = load_networks(folder)
        if not folded:
            networks = [as_trained(network) for network in networks]
        held = torch.float32 if autocast else dtype
        networks = [network.to(held).to(memory_format=layout) for network in networks]

        def timed() -> float:
            began = time.perf_counter()
            with torch.autocast("cpu", dtype, enabled=autocast):
                make(*networks, held, layout, steps, size // FACTOR)
            return 1e3 * (time.perf_counter() - began)

        return timed

    if folded:
        return quickest({layout: turn(layout) for layout in LAYOUTS})
    casts = (False, True) if dtype == torch.bfloat16 else (False,)
    return quickest({autocast: turn(LAYOUTS[0], autocast) for autocast in casts})


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--steps", type=int, default=4)
    arguments.add_argument("--size", type=int, default=128)
    asked = arguments.parse_args()
    torch.set_num_threads(asked.threads)
    reasons: dict[str, str | None] = dict.fromkeys(WAYS)
    if not torch.cpu._is_avx512_bf16_supported() and not torch.cpu._is_amx_tile_supported():
        none = "this processor has no bfloat16"
        reasons |= {way: none for way, dtype in WAYS.items() if dtype == torch.bfloat16}
    try:
        load_networks(asked.bundle)
    except (OSError, KeyError, RuntimeError) as error:  # RuntimeError: torch's word for other shapes
        reasons = dict.fromkeys(WAYS, f"no bundle of the embedded networks: {str(error)[:200]}")
    ready = {way: prepare(asked.bundle, way, asked.steps, asked.size) for way in WAYS if reasons[way] is None}
    print(json.dumps(reasons), flush=True)
    for line in sys.stdin:
        print(ready[line.strip()](), flush=True)


if __name__ == "__main__":
    main()
