"""The embedded music bundle from a trained network: one step with its cache as inputs and outputs.

python -m cadenza.exporters.music.export
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import onnxruntime
import torch
import typer
from torch import Tensor

from ...assets.bundle import Bundle, load_bundle, seal
from ...assets.music.manifest import Cache, MusicManifest, Recommended
from ...assets.refusal import Refusal
from ...runtime.bundles import EMBEDDED
from ...runtime.music.tokens import DELAYS, SIZES
from ..folders import replacing
from ..graph import trace
from ..weights import GraphFiles, rounded
from .network import Decoder
from .train import trained

TOLERANCE = 1e-3
REPORT = "report.json"
LICENCE = "MIT; trained in part on Freedoom's music, BSD-3-Clause, see NOTICE"
NOTICE = "NOTICE"
OUTPUTS = ("logits", "key", "value")
RECOMMENDED = Recommended(temperature=0.95, top_k=24, guidance=2.0)


def export(model: Decoder, folder: Path, pieces: int) -> Bundle:
    """Writes and seals the bundle, in place of one that is there; one whose graph differs from torch is refused. `pieces`: heard in
    training."""
    inputs = examples(model)
    step = trace(model, inputs, OUTPUTS, {name: {0: "batch"} for name in inputs})
    report = parity(model, step, inputs)
    with replacing(folder) as part:
        with GraphFiles(part) as graphs:
            graphs.add("step", step)
        (part / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        (part / NOTICE).write_text(notice(), encoding="utf-8")
        seal(part, manifest(model, pieces), [*graphs.names, REPORT, NOTICE])  # type: ignore[arg-type]
    return load_bundle(folder)


def notice() -> str:
    """Freedoom's licence, behind what was made with its music."""
    licence = (files("cadenza.exporters.embedded") / "NOTICE").read_text(encoding="utf-8").partition("\n\n")[2]
    made = "The network of this bundle was trained on pieces of exporters/music/composer and on music of\n"
    return made + "the Freedoom project (https://freedoom.github.io), which comes under this licence:\n\n" + licence


def manifest(model: Decoder, pieces: int) -> MusicManifest:
    s = model.shape
    return MusicManifest(
        name="music",
        graphs={"step": "step.onnx"},
        sizes=list(SIZES),
        delays=list(DELAYS),
        condition=s.condition,
        cache=Cache(s.layers, s.shared, s.window, s.head),
        recommended=RECOMMENDED,
        licence=LICENCE,
        provenance={
            "made_by": "exporters/music",
            "data": "the rule-based composer, Freedoom's music",
            "pieces": pieces,
        },
    )


def examples(model: Decoder) -> dict[str, Tensor]:
    """A step in the middle of a piece, three rows."""
    s, draw = model.shape, torch.Generator().manual_seed(0)
    rows, filled = 3, 40
    cache = (rows, s.layers, s.shared, s.window, s.head)
    mask = torch.where(torch.arange(s.window) < filled, 0.0, -1e9)
    return {
        "tokens": torch.randint(0, min(s.sizes), (rows, len(s.sizes)), generator=draw).float(),
        "condition": torch.rand(rows, s.condition, generator=draw),
        "time": torch.full((rows,), float(filled)),
        "keys": torch.randn(cache, generator=draw),
        "values": torch.randn(cache, generator=draw),
        "mask": mask.expand(rows, -1).contiguous(),
    }


def parity(model: Decoder, graph: onnx.ModelProto, inputs: dict[str, Tensor]) -> dict[str, dict[str, float]]:
    """Largest differences over the largest value of each output: the graph against torch, and what rounding the weights adds."""
    arrays = {name: value.numpy() for name, value in inputs.items()}
    with torch.no_grad():
        expected = [value.numpy() for value in model(*inputs.values())]
    exact, half = (_run(each, arrays) for each in (graph, rounded(graph)))
    report = {}
    for name, wanted, found, light in zip(OUTPUTS, expected, exact, half, strict=True):
        report[name] = {"float32": _relative(found, wanted), "float16_weights": _relative(light, found)}
        if not report[name]["float32"] <= TOLERANCE:
            sentence = f"differs from torch by {report[name]['float32']:g} of its range, more than {TOLERANCE:g}"
            raise Refusal("diverged", f"graphs.step.{name}", sentence, "report it with the network's code")
    return report


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(f"{np.abs(found - expected).max() / np.abs(expected).max():.2g}")


def _run(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs: list[np.ndarray] = session.run(list(OUTPUTS), inputs)
    return outputs


def main(
    training: Annotated[Path, typer.Option(help="where the trained network is")] = Path("training"),
    out: Annotated[Path, typer.Option(help="folder of the bundle")] = EMBEDDED / "music",
) -> None:
    model, pieces = trained(training)
    bundle = export(model, out, pieces)
    print(f"{bundle.folder}: {bundle.digest}")


if __name__ == "__main__":
    typer.run(main)
