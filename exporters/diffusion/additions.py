"""LoRAs and textual inversions, made part of a pipeline before it is exported."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from ...assets.refusal import Refusal


def parse_lora(text: str) -> tuple[str, float]:
    """(file, strength) of "file:0.8"; without a number the strength is 1."""
    file, colon, number = text.rpartition(":")
    if not colon:
        return text, 1.0
    try:
        return file, float(number)
    except ValueError:
        return text, 1.0  # the colon belongs to the path


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
            first = str(error).strip().split("\n")[0]
            raise Refusal(
                "unsupported", "lora", f"{file} does not fit this pipeline: {first}", "give a LoRA for this model"
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
            first = str(error).strip().split("\n")[0]
            raise Refusal(
                "unsupported", "inversion", f"{file} does not fit this pipeline: {first}", "give one for this model"
            ) from error
