"""LoRAs and textual inversions, made part of a pipeline before it is exported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
    """Adds LoRAs, in kohya's or diffusers' layout, to the weights of a pipeline, each times its strength."""
    if not loras:
        return
    if find_spec("peft") is None:
        raise Refusal("missing", "lora", "needs the package peft", "pip install peft")
    names = [f"lora_{number}" for number in range(len(loras))]
    for name, (file, _) in zip(names, loras, strict=True):
        try:
            pipe.load_lora_weights(file, adapter_name=name)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise Refusal(
                "unsupported",
                "lora",
                f"{file} does not fit this pipeline: {first_line(error)}",
                "give a LoRA for this model",
            ) from error
    pipe.set_adapters(names, [strength for _, strength in loras])
    pipe.fuse_lora(adapter_names=names)
    pipe.unload_lora_weights()


def add_inversions(pipe: Any, files: Sequence[str]) -> None:
    """Adds the tokens of textual inversions to tokenizer and text encoder; the bundle's tokenizer file has them then."""
    for file in files:
        try:
            pipe.load_textual_inversion(file)
        except (OSError, ValueError, KeyError) as error:
            raise Refusal(
                "unsupported",
                "inversion",
                f"{file} does not fit this pipeline: {first_line(error)}",
                "give one for this model",
            ) from error
