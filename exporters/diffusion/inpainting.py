"""Inpainting networks: beside the latent they read, cell by cell, what is made anew and the latent of what stays.

Nine channels where latents have four. The engine need not keep the image in place then: the network is told.
Rombach et al., "High-resolution image synthesis with latent diffusion models", 2022, https://arxiv.org/abs/2112.10752
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...assets.inputs import Anew, Input, Kept
from ...assets.refusal import Refusal
from .beside import Array
from .parts import Parts


def paints(pipe: Any) -> bool:
    """Whether a pipeline's network reads a mask; one that does not fit its class of pipeline is refused."""
    reads, own, kind = pipe.unet.config.in_channels, pipe.vae.config.latent_channels, type(pipe).__name__
    if reads not in (own, 2 * own + 1):
        sentence = f"reads {reads} channels where latents have {own}"
        raise Refusal("unsupported", "unet", sentence, f"export a model that reads {own}, or {2 * own + 1} to inpaint")
    if (reads > own) != ("Inpaint" in kind):
        other = kind.replace("Inpaint", "") if "Inpaint" in kind else kind.replace("Pipeline", "InpaintPipeline")
        sentence = f"reads {reads} channels, which a {kind} does not give"
        raise Refusal("contradiction", "unet", sentence, f"save it as a {other}; with a mask any model inpaints")
    return reads > own


def painter(parts: Parts) -> Parts:
    """The parts of a pipeline whose network reads a mask, from those of one whose network does not."""

    @torch.no_grad()
    def example(shape: tuple[int, ...]) -> tuple[dict[str, Array], dict[str, Any]]:
        """A picture whose right half is made anew."""
        anew = np.zeros((1, 1, *shape[2:]), np.float32)
        anew[..., shape[3] // 2 :] = 1.0
        mask = anew.repeat(parts.latent.factor, 2).repeat(parts.latent.factor, 3)
        image = np.random.default_rng(7).random((1, 3, *mask.shape[2:]), np.float32)
        assert parts.encode is not None
        kept = parts.encode(torch.from_numpy(np.where(mask > 0, np.float32(0.5), image))).numpy()
        call = {"image": torch.from_numpy(image), "mask_image": torch.from_numpy(mask), "strength": 1.0}
        return {"anew": anew, "kept": kept}, call

    def own(x: Tensor) -> Tensor:
        return x[:, : parts.latent.channels]

    inputs: dict[str, Input] = {"anew": Anew(), "kept": Kept()}
    return replace(parts, step=_Painter(parts.step), inputs=inputs, example=example, seen=own)


def below(step: nn.Module) -> Any:
    """The step of the network itself, under what puts a mask beside its latent."""
    return step.step if isinstance(step, _Painter) else step


class _Painter(nn.Module):
    def __init__(self, step: Any) -> None:
        super().__init__()
        self.step = step

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor, anew: Tensor, kept: Tensor) -> Tensor:
        text = self.step.arguments(latent, time, condition)
        raw: Tensor = self.step.unet(torch.cat([latent, anew, kept], 1), time, return_dict=False, **text)[0]
        return raw
