"""A tokenizer of the `transformers` library as the file that a bundle carries."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def tokenizer_file(tokenizer: Any, length: int, prepare: Callable[[Any], None] | None = None) -> bytes:
    """A file of the `tokenizers` library that does what the pipeline does: cut to the length, pad with its own token."""
    fast = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    if prepare is not None:
        prepare(fast)
    fast.enable_truncation(length, direction=tokenizer.truncation_side)
    padding = dict(direction=tokenizer.padding_side, pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    fast.enable_padding(length=length, **padding)
    return (json.dumps(json.loads(fast.to_str()), sort_keys=True, ensure_ascii=False) + "\n").encode()
