"""Prompts in free text: tokens of a bundle's own tokenizers; what is longer than the model reads is told, never dropped."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .manifest import Text
from .refusal import Refusal


def parse(text: str, conditioning: Text, folder: Path) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """(tokens of all tokenizers one after another, float32 (T,); the text that no longer fits into the longest).

    Token numbers travel as float32, like every array of a graph; up to 2^24 they are exact.
    """
    tokens: list[int] = []
    left: list[str] = []
    for tokenizer in conditioning.tokenizers:
        encoding = _open(folder / tokenizer.file, tokenizer.length).encode(text)
        tokens += encoding.ids
        left.append(_overflow(text, encoding))
    over = min(left, key=len)
    return np.array(tokens, np.float32), (over,) if over else ()


def _overflow(text: str, encoding: Any) -> str:
    """What stands behind the last character that a token covers."""
    if not encoding.overflowing:
        return ""
    return text[max(end for _, end in encoding.offsets) :].strip()


@lru_cache(maxsize=64)
def _open(path: Path, length: int) -> Any:
    if find_spec("tokenizers") is None:
        raise Refusal(
            "missing",
            "prompt",
            "this bundle reads free text and needs the package tokenizers",
            "pip install tokenizers",
        )
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    if tokenizer.padding is None or tokenizer.padding["length"] != length:
        raise Refusal("corrupt", f"files.{path.name}", f"does not pad to {length} tokens", "export the bundle again")
    return tokenizer
