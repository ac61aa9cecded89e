"""What a builder says of a foreign denoiser, in a TOML file; exporters/EXPORT.md has an example."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from ..assets.manifest import Flow, Latent, Recommended, Ve, Vp
from ..assets.refusal import OutOfRange, Refusal, Unknown

CHANNELS = ("albedo.r", "albedo.g", "albedo.b", "height", "roughness", "metallic")


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the foreign graph calls things; without `condition` it has none."""

    latent: str
    time: str
    output: str
    condition: str = ""


class Preconditioning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """none: the graph answers for (noisy, time) as they are. edm, consistency: it is the network inside c_skip and c_out.

    Karras et al. 2022, table 1, https://arxiv.org/abs/2206.00364; Song et al., "Consistency models", 2023, appendix C,
    https://arxiv.org/abs/2303.01469
    """

    kind: Literal["none", "edm", "consistency"] = "none"
    sigma_data: float = 0.5
    sigma_min: float = 0.002


class Pixels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the channels of a clean latent are, of CHANNELS; each in [0, 1] = latent * scale + offset, cut there.

    Without `channels` they are the height of a heightmap, or the three colours of a texture.
    """

    scale: float = 0.5
    offset: float = 0.5
    channels: list[str] = []


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The TOML file. `words` name the condition's numbers, which a prompt sets by strength: "roughness 0.7"."""

    name: str
    kind: Literal["heightmap", "texture"]
    process: Vp | Ve | Flow
    prediction: Literal["epsilon", "v", "x0", "flow"]
    inputs: Names
    latent: Latent
    words: list[str]
    recommended: list[Recommended]
    preconditioning: Preconditioning = Preconditioning()
    pixels: Pixels = Pixels()
    licence: str = ""


def read(path: Path) -> Description:
    try:
        return convert(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "is no text"
        raise Refusal("missing", "adopt", f"{path}: {what}", "give a description, see exporters/EXPORT.md") from error
    except tomllib.TOMLDecodeError as error:
        raise Refusal("corrupt", "adopt", f"{path} is no TOML: {error}", "see exporters/EXPORT.md") from error
    except msgspec.ValidationError as error:
        sentence, _, at = str(error).partition(" - at `$.")
        raise Refusal("type", f"adopt.{at.rstrip('`')}".rstrip("."), sentence, "see exporters/EXPORT.md") from error


def convert(text: str) -> Description:
    return msgspec.convert(tomllib.loads(text), Description)


def maps_of(told: Description) -> list[str]:
    """What each channel of the latent is."""
    maps = told.pixels.channels or (["height"] if told.kind == "heightmap" else list(CHANNELS[:3]))
    for name in maps:
        if name not in CHANNELS:
            raise Unknown("adopt.pixels.channels", name, CHANNELS)
    if len(set(maps)) != told.latent.channels or len(maps) != told.latent.channels:
        valid = f"a name for each of the latent's {told.latent.channels} channels, each once"
        raise OutOfRange("adopt.pixels.channels", maps, valid)
    return maps


def coloured(told: Description, name: str) -> bool:
    """Whether the channel holds a colour that the network paints; what is grey by a height is data."""
    return name.startswith("albedo") and name in maps_of(told)
