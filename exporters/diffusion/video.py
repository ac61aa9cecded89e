"""AnimateDiff: a UNet with motion layers over all frames at once. Frames are folded into the latent's channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...assets.manifest import Sheet as Layout
from ...assets.refusal import OutOfRange
from .parts import Parts
from .stable_diffusion import encoder_of, vp_of

RATE = 8.0
"""Frames a second of the clips that its motion layers were trained on."""
FRAMES = 16
"""What AnimateDiff's motion layers were trained on. [Guo et al., AnimateDiff, 2023, https://arxiv.org/abs/2307.04725]"""


def animate_diff(pipe: Any, frames: int = FRAMES) -> Parts:
    """Latent (B, frames C, h, w), frame by frame; the decoder lays the frames out in a sheet, row-major."""
    unet = pipe.unet.config
    if frames > unet.motion_max_seq_length:
        most = unet.motion_max_seq_length
        raise OutOfRange("frames", frames, f"2 to {most}, which is motion_max_seq_length of these motion layers")
    length, width = pipe.tokenizer.model_max_length, pipe.text_encoder.config.hidden_size
    common = vp_of(pipe, unet.in_channels * frames)
    rows, columns = sheet(frames)
    return Parts(
        step=_Step(pipe.unet, (length, width), frames),
        encode_text=encoder_of(pipe.text_encoder),
        tokenizers=[(pipe.tokenizer, length)],
        size=length * width,
        kind="flipbook",
        frames=frames,
        sheet=Layout(frames, rows, columns, RATE),
        call={"num_frames": frames},
        given=lambda latent: latent.unflatten(1, (frames, -1)).transpose(1, 2),
        made=lambda latent: latent.transpose(1, 2).flatten(1, 2),
        seen=lambda latent: latent.transpose(1, 2).flatten(1, 2),
        **{**common, "encode": None},
    )


def sheet(frames: int) -> tuple[int, int]:
    """(rows, columns) of a full sheet, as square as it goes."""
    rows = max(n for n in range(1, int(frames**0.5) + 1) if frames % n == 0)
    return rows, frames // rows


class _Step(nn.Module):
    def __init__(self, unet: nn.Module, states: tuple[int, int], frames: int) -> None:
        super().__init__()
        self.unet, self.states, self.frames = unet, states, frames

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        batch, channels, height, width = latent.shape
        clip = latent.reshape(batch, self.frames, channels // self.frames, height, width).transpose(1, 2)
        states = condition.reshape(-1, *self.states).repeat_interleave(self.frames, 0, output_size=batch * self.frames)
        raw = self.unet(clip, time, encoder_hidden_states=states, return_dict=False)[0]
        return raw.transpose(1, 2).reshape(batch, channels, height, width)


class Sheet(nn.Module):
    """Maps (B, M, rows H, columns W) of the frames in a latent (B, frames C, h, w), each decoded by itself."""

    def __init__(self, decode: nn.Module, frames: int) -> None:
        super().__init__()
        self.decode, self.frames = decode, frames

    def forward(self, latent: Tensor) -> Tensor:
        batch, channels, height, width = latent.shape
        maps = self.decode(latent.reshape(batch * self.frames, channels // self.frames, height, width))
        rows, columns = sheet(self.frames)
        _, count, height, width = maps.shape
        laid = maps.reshape(batch, rows, columns, count, height, width).permute(0, 3, 1, 4, 2, 5)
        return laid.reshape(batch, count, rows * height, columns * width)


def unrolled(sheet_of: Tensor, frames: int) -> Tensor:
    """(B, frames, M, H, W) from a sheet."""
    rows, columns = sheet(frames)
    batch, count, height, width = sheet_of.shape
    cut = sheet_of.reshape(batch, count, rows, height // rows, columns, width // columns).permute(0, 2, 4, 1, 3, 5)
    return torch.flatten(cut, 1, 2)
