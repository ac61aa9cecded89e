"""Another autoencoder for a pipeline, and the encoder of pictures to latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...assets.refusal import Refusal, Unknown
from ..errors import first_line
from .opening import load_whole
from .parts import Spread, factor

KINDS = ("AutoencoderKL", "AutoencoderTiny")


def replace_vae(pipe: Any, source: str) -> None:
    """Puts the autoencoder of a folder or hub id, full or tiny, into a pipeline; its latents must be of the same shape."""
    import diffusers

    own = type(getattr(pipe, "vae", None)).__name__
    if own not in KINDS:
        sentence = (
            f"{type(pipe).__name__} has {own if hasattr(pipe, 'vae') else 'none'}, in whose place no other can stand"
        )
        raise Refusal("unsupported", "vae", sentence, "leave it out")
    try:
        path = Path(source)
        load = diffusers.AutoencoderKL.load_config if path.is_dir() else diffusers.AutoencoderTiny.load_config
        kind = load(source).get("_class_name")
        if kind not in KINDS:
            raise Unknown("vae", kind, KINDS)
        vae = load_whole(getattr(diffusers, kind), source, "vae")
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, Refusal):
            raise
        raise Refusal(
            "missing", "vae", f"{source} cannot be opened: {first_line(error)}", "give a folder or a hub id"
        ) from error
    channels, expected = vae.config.latent_channels, pipe.vae.config.latent_channels
    if channels != expected or factor(vae) != factor(pipe.vae):
        raise Refusal(
            "contradiction",
            "vae",
            f"makes {channels} channels and {factor(vae)} pixels a cell, the pipeline's {expected} and {factor(pipe.vae)}",
            "give one for this model",
        )
    pipe.vae = vae.eval().requires_grad_(False)


def encoder_of(vae: nn.Module, spread: Spread | None = None) -> nn.Module | None:
    """latent (B, C, h, w) from colours (B, 3, H, W) in [0, 1]; None where the autoencoder is of another kind."""
    return Latents(vae, spread) if type(vae).__name__ in KINDS else None


class Latents(nn.Module):
    """The mode of the posterior, as the denoiser reads latents."""

    def __init__(self, vae: nn.Module, spread: Spread | None = None) -> None:
        super().__init__()
        self.vae = vae
        self.scale = float(vae.config.scaling_factor)
        self.shift = float(getattr(vae.config, "shift_factor", None) or 0.0)
        for name, numbers in zip(("mean", "deviation"), spread or (None, None), strict=True):
            self.register_buffer(name, numbers)

    def forward(self, image: Tensor) -> Tensor:
        encoded = self.vae.encode(2.0 * image - 1.0)
        latent: Tensor = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
        if self.mean is not None:
            return (latent - self.mean) * self.scale / self.deviation
        return (latent - self.shift) * self.scale
