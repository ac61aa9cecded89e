"""The weights that a training goes on from, small enough for the repository.

    python -m cadenza.exporters.embedded.keep                # training/ to the repository
    python -m cadenza.exporters.embedded.keep --restore      # and back, where training/ has none

The bundle holds the student and the decoder exactly; kept here are the autoencoder and the teacher as 8-bit integers with a
scale for each output, good enough to start from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn

from .networks import Autoencoder, AutoencoderShape, Denoiser, DenoiserShape
from .training import averaged, store

KEPT = Path(__file__).parent / "weights"


def pack(model: nn.Module) -> dict[str, np.ndarray]:
    """Arrays by name; each int8 one is followed by its scales, biases and gains stay float32."""
    packed = {}
    for name, tensor in model.state_dict().items():
        if tensor.ndim > 1 and tensor[0].numel() > 1:
            scale = tensor.abs().flatten(1).amax(1).clamp(min=1e-8) / 127
            shaped = scale.view(-1, *[1] * (tensor.ndim - 1))
            packed[name] = (tensor / shaped).round().to(torch.int8).numpy()
            packed[f"{name}.scale"] = scale.numpy().astype(np.float32)
        else:
            packed[name] = tensor.numpy().astype(np.float32)
    return packed


def unpack(packed: dict[str, np.ndarray]) -> dict[str, Tensor]:
    state = {}
    for name, array in packed.items():
        if name.removesuffix(".scale") in packed and name.endswith(".scale"):
            continue
        tensor = torch.from_numpy(array).float()
        if array.dtype == np.int8:
            tensor = tensor * torch.from_numpy(packed[f"{name}.scale"]).view(-1, *[1] * (tensor.ndim - 1))
        state[name] = tensor
    return state


def keep(out: Path) -> None:
    """Writes the averaged weights and the logs of the trainings to the repository."""
    KEPT.mkdir(exist_ok=True)
    autoencoder = averaged(out / "autoencoder", "autoencoder", Autoencoder(AutoencoderShape()))
    teacher = averaged(out / "teacher", "denoiser", Denoiser(DenoiserShape()))
    np.savez(KEPT / "autoencoder.npz", **pack(autoencoder))  # type: ignore[arg-type]
    np.savez(KEPT / "teacher.npz", **pack(teacher))  # type: ignore[arg-type]
    logs = {
        name: (out / name / "log.jsonl").read_text(encoding="utf-8").splitlines()
        for name in ("autoencoder", "teacher", "student")
    }
    curves = {name: [json.loads(line) for line in lines] for name, lines in logs.items()}
    (KEPT / "curves.json").write_text(json.dumps(curves, indent=0) + "\n", encoding="utf-8")


def restore(out: Path) -> None:
    """Checkpoints from the kept weights, where a training has none of its own."""
    for name, model in (("autoencoder", "autoencoder"), ("teacher", "denoiser")):
        path, source = out / name / "state.pt", KEPT / f"{name}.npz"
        if source.is_file() and not path.is_file():
            state = unpack(dict(np.load(source)))
            path.parent.mkdir(parents=True, exist_ok=True)
            store({"images": 0, model: state, f"{model}.average": state}, path)


def main(
    out: Annotated[Path, typer.Option(help="where sets and checkpoints are")] = Path("training"),
    back: Annotated[bool, typer.Option("--restore", help="from the repository to checkpoints")] = False,
) -> None:
    restore(out) if back else keep(out)


if __name__ == "__main__":
    typer.run(main)
