"""What a bundle's step graphs read beside latent, time and condition: named inputs, each with how a request fills it.

The manifest lists them once, `inputs`, and says in `reads` which step graph reads which. A request names the first three
kinds; the last two follow from its `mask` and `image`. Whoever runs a graph looks only here, and knows no input by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from .refusal import Corrupt, OutOfRange

OWN = ("latent", "time", "condition", "noise")
"""Every step graph reads the first three; its loop reads the last."""


class Picture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="picture"):
    """A picture in [0, 1] of the size that is painted: (channels, height, width)."""

    channels: int = 3


class Encoded(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="encoded"):
    """What `graph` makes of a picture of any size, brought to `side` x `side` pixels; or an array of this `shape`.

    The graph has the input image (B, 3, side, side) in [0, 1] and the outputs embedding (B, ...) and unconditional (1, ...),
    which the unconditional evaluation reads.
    """

    graph: str
    side: int
    shape: tuple[int, ...]


class Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="number"):
    """A number, such as a strength; it comes by its default when its graph is chosen by others."""

    default: float
    minimum: float
    maximum: float


class Anew(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="anew"):
    """The request's mask by latent cell (1, height, width): 1 is made anew; all ones without one."""


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="kept"):
    """The latent of the request's image, mid-grey where the mask makes it anew: (C, height, width)."""


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="held"):
    """Where the request's mask keeps its image, and what: (1 + C, height, width), ones there and the latent, 0 elsewhere.

    All zeros without a mask. The engine keeps the rest of the image as well, so the network is told and need not obey.
    """


Input = Picture | Encoded | Number | Anew | Kept | Held
ASKED = (Picture, Encoded, Number)
"""Kinds that a request names; the others follow from its mask and image."""


def shape_of(given: Input, field: tuple[int, int, int], factor: int) -> tuple[int, ...]:
    """The shape that a graph reads, without the batch, beside a latent `field` (C, height, width) of `factor` pixels a cell."""
    channels, height, width = field
    match given:
        case Picture(channels=colours):
            return colours, height * factor, width * factor
        case Encoded(shape=shape):
            return shape
        case Number():
            return ()
        case Anew():
            return 1, height, width
        case Kept():
            return channels, height, width
        case Held():
            return 1 + channels, height, width


def check(inputs: Mapping[str, Input], reads: Mapping[str, list[str]], graphs: Mapping[str, str]) -> None:
    """What types cannot say."""
    for name, given in inputs.items():
        path = f"inputs.{name}"
        if name in OWN:
            raise OutOfRange(path, name, f"another name than {', '.join(OWN)}")
        if not any(name in names for names in reads.values()):
            raise Corrupt(path, "is read by no graph in `reads`", "export the bundle again")
        needed = given.graph if isinstance(given, Encoded) else "encode_image" if isinstance(given, Kept) else None
        if needed is not None and needed not in graphs:
            raise Corrupt(path, f"needs the graph {needed!r}", "export the bundle again")
        if isinstance(given, Picture) and given.channels not in (1, 3):
            raise OutOfRange(f"{path}.channels", given.channels, "1 or 3")
        if isinstance(given, Encoded) and not (0 < given.side <= 4096 and given.shape and min(given.shape) > 0):
            raise OutOfRange(path, msgspec.to_builtins(given), "a side of 1 to 4096 pixels and a shape")
        if isinstance(given, Number) and not (
            given.minimum <= given.default <= given.maximum and math.isfinite(given.maximum - given.minimum)
        ):
            raise OutOfRange(path, msgspec.to_builtins(given), "finite numbers, the default within the range")
    for graph, names in reads.items():
        if graph not in graphs:
            raise Corrupt(f"reads.{graph}", "is not among the graphs", "export the bundle again")
        for name in names:
            if name not in inputs:
                raise Corrupt(f"reads.{graph}", f"{name!r} is not among the inputs", "export the bundle again")
    sets = [frozenset(names) for names in {"step": [], **reads}.values()]
    if len(set(sets)) < len(sets):
        raise Corrupt("reads", "two graphs read the same inputs", "export the bundle again")


def loop_of(step: str) -> str:
    """The name of a step graph's loop."""
    return f"loop{step.removeprefix('step')}"


def beside(inputs: Mapping[str, Input], graphs: Mapping[str, str]) -> list[str]:
    """Names of the graphs of a bundle that run once a request: encoders of pictures, and what finishes them."""
    named = [given.graph for given in inputs.values() if isinstance(given, Encoded)]
    return list(dict.fromkeys(name for name in ("encode_image", "finish", *named) if name in graphs))


def known_graphs(inputs: Mapping[str, Input], reads: Mapping[str, list[str]]) -> set[str]:
    """Names of graphs that a bundle has for its inputs."""
    encoders = (given.graph for given in inputs.values() if isinstance(given, Encoded))
    return {*reads, *map(loop_of, reads), *encoders}
