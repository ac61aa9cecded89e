"""The dials of a request as command-line options, and their way into a request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ...assets.refusal import Refusal

Prompt = Annotated[str, typer.Argument(help='What to make, such as "wet mossy cobble".')]
Seed = Annotated[int, typer.Option(help="Whole number from 0; the same seed gives the same bytes.")]
Size = Annotated[str, typer.Option(help="Pixels: 128, or WIDTHxHEIGHT.")]
SizeOrImages = Annotated[
    str | None, typer.Option("--size", help="Pixels: 128, or WIDTHxHEIGHT; without it the image's, or else 128.")
]
Steps = Annotated[int | None, typer.Option(help="Model steps; the bundle's own table has the best ones.")]
Sampler = Annotated[
    str | None, typer.Option(help='A sampler by any of its names, "DPM++ 2M Karras" too; see `cadenza samplers`.')
]
Spacing = Annotated[
    str | None,
    typer.Option(
        help="A spacing by name, karras:rho=5 with options; noise ratios 14.6,5,1,0.2,0; or times:999,749,499."
    ),
]
Guidance = Annotated[str | None, typer.Option(help="1 is none; one number, or one a step: 1,4,4,2.")]
EmbeddedGuidance = Annotated[
    float | None, typer.Option(help="The strength that a distilled network is told (LCM's w), where the bundle's is.")
]
GuidanceInterval = Annotated[
    str | None, typer.Option(help="Noise ratios, lowest and highest, outside which guidance is 1: 0.3,5.")
]
Corrector = Annotated[str | None, typer.Option(help="unic: a higher order without another evaluation.")]
X = Annotated[int | None, typer.Option("--x", help="Pixels: where on the seed's endless noise the left edge lies.")]
Y = Annotated[int | None, typer.Option("--y", help="The same for the top edge.")]
Negative = Annotated[str | None, typer.Option(help="What to lead away from; works with guidance above 1.")]
Eta = Annotated[float | None, typer.Option(help="How much fresh noise a stochastic sampler adds.")]
VariationSeed = Annotated[int | None, typer.Option(help="Turn the seed's noise towards this one's.")]
VariationStrength = Annotated[float | None, typer.Option(help="How far: 0 to 1.")]
Image = Annotated[
    str | None,
    typer.Option(
        help="Start from the result of a recipe: a file that `make` wrote, JSON, or a recipe id; or from the picture in a file; see --denoise."
    ),
]
Denoise = Annotated[
    float | None, typer.Option(help="Above 0, up to 1: how far to leave the image; below 1 the run starts from it.")
]
Mask = Annotated[
    str | None,
    typer.Option(help="Make only this part of the image anew: x,y,width,height in pixels, or a picture, white there."),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        help="What else the bundle reads: NAME=FILE of a picture, NAME=NUMBER; may be repeated; see `bundles`.",
    ),
]
Noise = Annotated[str | None, typer.Option(help="Step noise: independent or brownian.")]
Options = Annotated[
    list[str] | None, typer.Option("--option", help="A sampler's own option: NAME=VALUE, may be repeated.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Server = Annotated[
    str | None, typer.Option(help="Address of a running server; without it the engine runs in this process.")
]
Bundles = Annotated[
    list[Path] | None, typer.Option("--bundle", help="Bundle folder, may be repeated; without it the embedded ones.")
]
Backend = Annotated[str, typer.Option(help="auto, onnxruntime, openvino, ...")]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads; without it all.")]


def refuse(given: Mapping[str, Any], kind: str, of: str) -> None:
    """Dials of other kinds are refused by name, never ignored."""
    for name, value in given.items():
        if value is not None and value is not False and value != []:
            raise Refusal("contradiction", name.replace("_", "-"), f"is a dial of {of}, not of {kind}", "leave it out")


def request(kind: str, prompt: str, size: str | None, **dials: Any) -> dict[str, Any]:
    """A request for `submit`: what was not given is left out, text forms are read. A sound has no size."""
    asked: dict[str, Any] = {"kind": kind, "prompt": prompt, **{k: v for k, v in dials.items() if v is not None}}
    if size is not None:
        asked["size"] = parse_size(size)
    if "spacing" in asked:
        asked["spacing"] = parse_spacing(asked["spacing"])
    if "guidance" in asked:
        strengths = parse_numbers(asked["guidance"], "guidance", "a number, or one a step such as 1,4,4,2")
        asked["guidance"] = strengths if len(strengths) > 1 else strengths[0]
    if "guidance_interval" in asked:
        asked["guidance_interval"] = parse_numbers(
            asked["guidance_interval"], "guidance_interval", "two, such as 0.3,5"
        )
    if isinstance(asked.get("mask"), str):
        asked["mask"] = parse_wholes(asked["mask"], "mask", "four, such as 32,0,64,64, or a picture's file")
    if "options" in asked:
        asked["options"] = parse_options(asked["options"])
    return asked


DIGITS = 20
"""More than any whole number here has: a longer text is none."""


def parse_size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and len(side) <= DIGITS for side in sides):
        raise Refusal("type", "size", f"{text!r} is no size", "give pixels such as 128, or 256x128")
    return int(sides[0]), int(sides[-1])


def parse_spacing(text: str) -> str | list[float] | dict[str, Any]:
    """A name, NAME:option=value,..., times:NUMBERS, or noise ratios."""
    name, colon, rest = text.partition(":")
    if name == "times":
        return {"times": parse_numbers(rest, "spacing", "times such as times:999,749,499,249")}
    if colon:
        return {"name": name, **parse_options(rest.split(","), "spacing", "karras:rho=5")}
    return parse_numbers(text, "spacing", "noise ratios such as 14.6,5,1,0.2,0") if "," in text else text


def parse_numbers(text: str, field: str, example: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise Refusal("type", field, f"{text!r} is no list of numbers", f"give {example}") from None


def parse_wholes(text: str, field: str, example: str) -> list[int]:
    """Whole numbers, none of them cut off."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.removeprefix("-").isdecimal() and len(part) <= DIGITS for part in parts):
        raise Refusal("type", field, f"{text[:40]!r} is no list of whole numbers", f"give {example}")
    return [int(part) for part in parts]


def parse_options(texts: Sequence[str], field: str = "option", example: str = "--option s_churn=5") -> dict[str, Any]:
    """Each option once."""
    options: dict[str, Any] = {}
    for name, value in (parse_option(text, field, example) for text in texts):
        if name in options and options[name] != value:
            raise Refusal("contradiction", f"{field} {name}", f"is {options[name]} and {value}", "say it once")
        options[name] = value
    return options


def parse_option(text: str, field: str, example: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Refusal("type", field, f"{text!r} is no NAME=VALUE", f"write it such as {example}")
    try:
        return name, json.loads(value)
    except (json.JSONDecodeError, RecursionError):
        return name, value
