"""What an export has done so far: seconds of each stage, and traced graphs on disk, from which one that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import onnx
import torch
from tqdm import tqdm

from ..weights import graphs_of

KEPT_FROM = 50_000_000
"""Parameters of a denoiser from which on traced graphs are kept: smaller ones are traced again as quickly."""
PACKAGES = ("torch", "diffusers", "transformers", "onnxscript")


class Stages:
    """A progress bar with a name for each stage; `seconds` of those that have ended."""

    def __init__(self, count: int) -> None:
        self.seconds: dict[str, float] = {}
        self._bar = tqdm(total=count, desc="export", unit="stage")
        self._now, self._began = "", 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def begin(self, what: str) -> None:
        """Ends the stage before; the same name again is added to."""
        clock = time.perf_counter()
        if self._now:
            self.seconds[self._now] = self.seconds.get(self._now, 0.0) + clock - self._began
            self._bar.update()
        self._now, self._began = what, clock
        self._bar.set_postfix_str(what)

    def told(self) -> dict[str, float]:
        """Seconds by stage, three digits."""
        return {what: float(f"{seconds:.3g}") for what, seconds in self.seconds.items()}


class Kept:
    """Traced graphs in a folder under a key; those of another key are thrown away. Without a key nothing is kept."""

    def __init__(self, folder: Path, key: str | None) -> None:
        self.folder, self._key = folder, key
        named = folder / "key"
        if key is None or not named.is_file() or named.read_text(encoding="utf-8") != key:
            self.clear()

    def graph(self, name: str, make: Callable[[], onnx.ModelProto]) -> onnx.ModelProto:
        """The graph that was kept, or that is made now, and kept."""
        if self._key is None:
            return make()
        path = self.folder / name / "graph.onnx"
        if not path.is_file():
            part = self.folder / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            (self.folder / "key").write_text(self._key, encoding="utf-8")
            onnx.save_model(
                make(), part / path.name, save_as_external_data=True, all_tensors_to_one_file=True, location="weights"
            )
            os.replace(part, path.parent)
        model = onnx.load(path)
        for graph in graphs_of(model.graph):
            for tensor in graph.initializer:
                tensor.ClearField("data_location")  # else it says the default, and has other bytes than one just traced
        return model

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def key_of(components: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """A digest of all that traced graphs follow from: weights, configurations, options, and who traces."""
    total = hashlib.sha256()
    total.update(json.dumps([dict(told), [version(name) for name in PACKAGES]], default=str, sort_keys=True).encode())
    for name, part in sorted(components.items()):
        config: Any = getattr(part, "config", None)
        plain = config.to_dict() if hasattr(config, "to_dict") else dict(config or {})
        total.update(json.dumps([name, type(part).__name__, plain], default=str, sort_keys=True).encode())
        if isinstance(part, torch.nn.Module):
            for weight, values in part.state_dict().items():
                total.update(weight.encode())
                total.update(values.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
