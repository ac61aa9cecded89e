"""The music model: a decoder-only transformer over frames of five streams, with a cache of keys and values.

Codebooks in the delay pattern as in MusicGen (Copet et al. 2023, https://arxiv.org/abs/2306.05284); rotary positions (Su et
al. 2021, https://arxiv.org/abs/2104.09864); heads that share keys and values (Ainslie et al. 2023,
https://arxiv.org/abs/2305.13245), which makes the cache a third; RMS norms and SwiGLU as in LLaMA. Conditions and the
frame's place in the bar, the phrase and the piece are added to every step's input.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...runtime.music.conditions import SIZE
from ...runtime.music.tokens import SIZES

NOT_YET, UNSEEN = 0, 1
"""Two more words of every stream: before its first frame, and kept from the model."""


@dataclass(frozen=True)
class Shape:
    width: int = 192
    layers: int = 6
    heads: int = 6
    shared: int = 2  # heads of keys and values
    hidden: int = 512
    window: int = 136  # steps that a step looks back on, beside itself
    condition: int = SIZE
    sizes: tuple[int, ...] = SIZES

    @property
    def head(self) -> int:
        return self.width // self.heads

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.gain


class Block(nn.Module):
    """Attention and a gated feed-forward, each behind a norm and beside a residual."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, head = shape.width, shape.head
        self.before, self.between = Norm(width), Norm(width)
        self.query = nn.Linear(width, shape.heads * head, bias=False)
        self.key_value = nn.Linear(width, 2 * shape.shared * head, bias=False)
        self.out = nn.Linear(shape.heads * head, width, bias=False)
        self.up = nn.Linear(width, 2 * shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, width, bias=False)
        for last in (self.out, self.down):
            nn.init.normal_(last.weight, std=0.02 / (2 * shape.layers) ** 0.5)

    def sequence(self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """x (B, T, width), with what each step may look at in `mask` (T, T); None: all before it."""
        s, (b, t, _) = self.shape, x.shape
        h = self.before(x)
        query = turned(self.query(h).view(b, t, s.heads, s.head), turn).transpose(1, 2)
        key, value = self.key_value(h).view(b, t, 2, s.shared, s.head).unbind(2)
        groups = s.heads // s.shared
        key = turned(key, turn).transpose(1, 2).repeat_interleave(groups, 1)
        value = value.transpose(1, 2).repeat_interleave(groups, 1)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)
        return self.feed(x + self.out(mixed.transpose(1, 2).reshape(b, t, -1)))

    def step(
        self, x: Tensor, turn: tuple[Tensor, Tensor], keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, width), cache (B, shared, window, head), mask (B, window) added to scores; gives x, its key and value."""
        s, b = self.shape, x.shape[0]
        h = self.before(x)
        query = turned(self.query(h).view(b, s.heads, s.head), turn)
        key, value = self.key_value(h).view(b, 2, s.shared, s.head).unbind(1)
        key = turned(key, turn)
        query = query.view(b, s.shared, s.heads // s.shared, s.head) * s.head**-0.5
        past = query @ keys.transpose(2, 3) + mask[:, None, None]
        own = (query * key[:, :, None]).sum(-1, keepdim=True)
        chance = torch.cat([past, own], -1).softmax(-1)
        mixed = chance[..., :-1] @ values + chance[..., -1:] * value[:, :, None]
        return self.feed(x + self.out(mixed.reshape(b, -1))), key, value

    def feed(self, x: Tensor) -> Tensor:
        gate, linear = self.up(self.between(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * linear)


class Decoder(nn.Module):
    """Logits of all streams, (.., sum of sizes), for the tokens that were said before and the condition of the step."""

    offsets: Tensor
    frequencies: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        words = [size + 2 for size in shape.sizes]
        self.register_buffer("offsets", torch.tensor([sum(words[:k]) for k in range(len(words))]), persistent=False)
        half = shape.head // 2
        self.register_buffer("frequencies", 200.0 ** -(torch.arange(half) / half), persistent=False)
        self.embedding = nn.Embedding(sum(words), shape.width)
        self.condition = nn.Linear(shape.condition, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.width)
        self.head = nn.Linear(shape.width, sum(shape.sizes))
        nn.init.normal_(self.embedding.weight, std=0.3)

    def sequence(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """tokens (B, T, streams): what was said in the step before; condition (B, T, condition)."""
        steps = tokens.shape[1]
        x = self.embedding(tokens + self.offsets).sum(2) + self.condition(condition)
        at = torch.arange(steps)
        turn = self.turn(at.float())
        back = at[:, None] - at[None]
        mask = (back >= 0) & (back <= self.shape.window) if steps > self.shape.window + 1 else None
        for block in self.blocks:
            x = block.sequence(x, turn, mask)
        return self.head(self.norm(x))

    def forward(
        self, tokens: Tensor, condition: Tensor, time: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step. Float32 (B, streams), (B, condition), (B,), cache twice (B, layers, shared, window, head), (B, window).

        Gives logits (B, sum of sizes), and this step's keys and values (B, layers, shared, head), for the caller to put
        into the cache; their order there is free, as positions are turned into them.
        """
        x = self.embedding(tokens.long() + self.offsets).sum(1) + self.condition(condition)
        turn = self.turn(time)
        new_keys, new_values = [], []
        for number, block in enumerate(self.blocks):
            x, key, value = block.step(x, turn, keys[:, number], values[:, number], mask)
            new_keys.append(key)
            new_values.append(value)
        return self.head(self.norm(x)), torch.stack(new_keys, 1), torch.stack(new_values, 1)

    def turn(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines (times, 1, head / 2)."""
        angle = time[:, None, None] * self.frequencies
        return angle.cos(), angle.sin()


def turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions: x (.., heads, head) by the angles of its step."""
    cosine, sine = turn
    first, second = x.chunk(2, -1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)
