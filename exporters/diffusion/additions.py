"""LoRAs and textual inversions, made part of a pipeline before it is exported."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from safetensors import safe_open
from torch import Tensor, nn

from ...assets.refusal import OutOfRange, Refusal
from ..errors import first_line


def parse_lora(text: str) -> tuple[str, float]:
    """(file, strength) of "file:0.8"; without a number the strength is 1. A colon may also belong to the path."""
    file, colon, number = text.rpartition(":")
    if not colon or Path(text).exists():
        return text, 1.0
    try:
        strength = float(number)
    except ValueError:
        if Path(file).exists():
            raise Refusal("type", "lora", f"{number!r} is no number", "say FILE:0.8") from None
        return text, 1.0
    if not math.isfinite(strength) or strength == 0.0:
        raise OutOfRange("lora", strength, "any finite number but 0, which adds nothing")
    return file, strength


def fuse_loras(pipe: Any, loras: Sequence[tuple[str, float]]) -> None:
    """Adds LoRAs, in kohya's or diffusers' layout, to the weights of a pipeline, each times its strength.

    One of which a part fits nothing is refused: diffusers leaves that part out.
    """
    if not loras:
        return
    _takes(pipe, "load_lora_weights", "lora", "LoRAs")
    if find_spec("peft") is None:
        raise Refusal("missing", "lora", "needs the package peft", "pip install peft")
    names = [f"lora_{number}" for number in range(len(loras))]
    for name, (file, _) in zip(names, loras, strict=True):
        with _fits("lora", file, "give a LoRA for this model"):
            _check_used(pipe, _loaded(pipe, file, name), name, file)
    with _fits("lora", ", ".join(file for file, _ in loras), "give LoRAs for this model"):
        pipe.set_adapters(names, [strength for _, strength in loras])
        pipe.fuse_lora(adapter_names=names)
        pipe.unload_lora_weights()


def add_inversions(pipe: Any, files: Sequence[str]) -> None:
    """Adds the tokens of textual inversions to tokenizer and text encoder; the bundle's tokenizer file has them then.

    A token of several vectors is refused: a pipeline writes it out as several tokens before it reads a prompt, and a
    tokenizer's file has no place for that.
    """
    if not files:
        return
    _takes(pipe, "load_textual_inversion", "inversion", "textual inversions")
    for file in files:
        known = set(pipe.tokenizer.get_vocab())
        with _fits("inversion", file, "give one for this model"):
            pipe.load_textual_inversion(file)
        new = sorted(set(pipe.tokenizer.get_vocab()) - known, key=len)
        if len(new) > 1:
            sentence = f"{file} has {len(new)} vectors for {new[0]!r}, and a bundle's tokenizer writes one for a token"
            raise Refusal("unsupported", "inversion", sentence, "give one that was trained with a single vector")


def _takes(pipe: Any, loader: str, field: str, what: str) -> None:
    if not hasattr(pipe, loader):
        raise Refusal("unsupported", field, f"{type(pipe).__name__} takes no {what}", "leave it out")


@contextmanager
def _fits(field: str, file: str, remedy: str) -> Iterator[None]:
    """What the loaders say in many types of errors becomes one."""
    try:
        yield
    except Refusal:
        raise
    except Exception as error:  # diffusers and peft have many types of errors, and no common one
        sentence = f"{file} does not fit this pipeline: {first_line(error)}"
        raise Refusal("unsupported", field, sentence, remedy) from error


def _loaded(pipe: Any, file: str, name: str) -> dict[str, Tensor]:
    """Loads a LoRA as an adapter of this name; the weights that the pipeline read, in diffusers' layout."""
    if Path(file).suffix == ".safetensors" and Path(file).is_file():
        with safe_open(file, "pt") as opened:
            scaled = next((key for key in opened.keys() if "dora_scale" in key), None)  # noqa: SIM118, it is no mapping
        if scaled is not None:  # diffusers drops these
            sentence = f"{file} has {scaled!r}: the scales of a DoRA, which diffusers leaves out"
            raise Refusal("unsupported", "lora", sentence, "give a LoRA without")
    read: list[dict[str, Tensor]] = []
    convert = pipe.lora_state_dict

    def watched(*given: Any, **named: Any) -> Any:
        made = convert(*given, **named)
        read.append(dict(made[0] if isinstance(made, tuple) else made))
        return made

    with patch.object(pipe, "lora_state_dict", watched):
        pipe.load_lora_weights(file, adapter_name=name)
    return {key: weight for weights in read for key, weight in weights.items()}


def _check_used(pipe: Any, weights: Mapping[str, Tensor], name: str, file: str) -> None:
    """Refuses a LoRA by its first weight that the adapter does not hold, found by its numbers: layouts name it differently."""
    parts = [part for part in pipe.components.values() if isinstance(part, nn.Module)]
    held = {_print(weight) for part in parts for at, weight in part.named_parameters() if name in at.split(".")}
    left = [key for key, weight in weights.items() if _print(weight) not in held]
    if left or not weights:
        what = f"{len(left)} of {len(weights)} weights fit no module, first {left[0]!r}" if left else "holds no weights"
        raise Refusal("unsupported", "lora", f"{file}: {what}", "give a LoRA for this model")


def _print(weight: Tensor) -> tuple[tuple[int, ...], bytes]:
    """What two arrays with the same numbers share."""
    numbers = weight.detach().to(torch.float32).contiguous().numpy()
    return tuple(numbers.shape), sha256(numbers).digest()
