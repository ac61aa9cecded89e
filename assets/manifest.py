"""The manifest of a bundle, format 1: numbers, not names, that say how to run a model and what its maps mean."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Literal, cast

import msgspec

from . import inputs as named_inputs
from .inputs import Input
from .music import codes
from .music import manifest as music
from .music.codes import CodesManifest
from .music.manifest import MusicManifest
from .refusal import Corrupt, OutOfRange, Unknown

FORMAT = 1
SOUND, FLIPBOOK = "sound", "flipbook"
"""Kinds whose results need telling how to play them."""
HEIGHTMAP = "heightmap"
RATE_LIMIT = 768_000
NEEDED = ("step", "decode")
OPTIONAL = ("loop", "encode", "encode_text", "encode_image", "finish")
"""Graphs of a bundle: one model evaluation and the decoder; the whole solver loop, pictures to latents, prompts to conditions,
and what makes maps (B, M, H, W) of a decoder's colours, once tiles are put together."""


class Vp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="vp"):
    alphas_cumprod: list[float]


class Ve(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="ve"):
    sigma_min: float = 0.002
    sigma_max: float = 80.0


class Flow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="flow"):
    shift: float = 1.0


class Latent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`factor` pixels a cell; sizes are multiples of `multiple` pixels from `minimum` to `maximum`."""

    channels: int
    factor: int
    minimum: int
    maximum: int
    multiple: int


class Grain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Noise that the decode graph takes beside the latent: `factor` pixels a cell."""

    channels: int
    factor: int


class Samples(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of kind "sound": samples a second of each channel, 1 to 768,000."""

    rate_hz: int


class Sheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of kind "flipbook": how frames lie in a sheet, row-major from the top left, and how many are shown a second."""

    frames: int
    rows: int
    columns: int
    rate: float  # frames a second, above 0, at most 1000


class Tiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How latents larger than `cells` a side are decoded: in tiles of that size that share `overlap` cells with the next.

    `wrap` names the axes along which the picture tiles: "", "x", "y" or "xy".
    """

    cells: int
    overlap: int
    wrap: Literal["", "x", "y", "xy"] = ""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="words"):
    """A closed vocabulary: each word an entry of the condition vector; unconditional is all zeros."""

    words: list[str]
    materials: int  # the first so many are materials, which share one amount; the others are modifiers
    synonyms: dict[str, str] = {}


class Tokenizer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the `tokenizers` library that cuts and pads to `length` tokens."""

    file: str
    length: int


class GuidanceEmbedding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`width` numbers behind a condition that tell a distilled network its strength of guidance; `guidance.py` computes them."""

    width: int
    default: float
    scale: float = 1.0
    offset: float = 0.0


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="text"):
    """Free text: the tokens of all tokenizers, one after another, go through `encode_text` to a condition of `size` numbers.

    `empty` says what stands for no negative prompt: the encoding of no text, or zeros. Where the network is told a strength
    of guidance, the condition of the step goes on with `guidance.width` numbers.
    """

    tokenizers: list[Tokenizer]
    size: int
    empty: Literal["encoded", "zeros"] = "encoded"
    guidance: GuidanceEmbedding | None = None


class Recommended(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The family's explicit table for one step count: what the model is told, falling, `steps` times or with the end.

    image_times  the same for runs that start from an image, where `times` lie unevenly: `denoise` is the share of steps that is run
    guidance_share  the manifest's at this step count, where it is another: with fewer steps less puts right what guidance overdoes
    """

    steps: int
    sampler: str
    times: list[float]
    guidance: float = 1.0
    eta: float | None = None
    options: dict[str, float | int | bool | str | tuple[float, ...]] = {}
    image_times: list[float] | None = None
    guidance_share: float | None = None

    def lists(self) -> dict[str, list[float]]:
        """The lists of times it has, by field."""
        return {"times": self.times} | ({} if self.image_times is None else {"image_times": self.image_times})


class Channel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str  # albedo.r, albedo.g, albedo.b, height, roughness, metallic
    encoding: Literal["srgb", "linear"] = "linear"


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A graph compiled for a class of devices at static shapes (each input's, in whole numbers), or at any where none stand."""

    graph: str
    file: str
    backend: str
    targets: list[str]  # compute capabilities
    shapes: dict[str, list[int]]
    shared_memory: int = 0  # bytes that a kernel takes at most, so that a game may draw meanwhile; 0 without a limit


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """bundle.json. `files` has the sha-256 of every file beside it.

    `samples` stands in bundles of sounds and `sheet` in those of flipbooks, each there and nowhere else.

    With `guidance_share` below 1 a bundle says that guidance works too strongly on its network: a distilled one answers with
    a texture rather than with the mean of many, and two textures lie further apart than two means.
    """

    name: str
    kind: str
    process: Vp | Ve | Flow
    prediction: Literal["epsilon", "v", "x0", "flow"]
    latent: Latent
    conditioning: Words | Text
    recommended: list[Recommended]
    channels: list[Channel]
    graphs: dict[str, str]
    guidance_share: float = 1.0  # of what a request's guidance is above 1, the part that acts
    grain: Grain | None = None
    samples: Samples | None = None
    sheet: Sheet | None = None
    tiles: Tiles | None = None
    inputs: dict[str, Input] = {}
    reads: dict[str, list[str]] = {}  # names of inputs by step graph, where it reads any
    format: int = FORMAT
    files: dict[str, str] = {}
    engines: list[Engine] = []
    licence: str = ""
    provenance: dict[str, Any] = {}

    def guidance_share_at(self, steps: int) -> float:
        """What acts of guidance at a step count."""
        own = (table.guidance_share for table in self.recommended if table.steps == steps)
        return next((share for share in own if share is not None), self.guidance_share)


def grain_shape(manifest: Manifest, height: int, width: int) -> tuple[int, int, int] | None:
    """(channels, height, width) of the noise that goes into the decoder with a latent of (height, width) cells."""
    if manifest.grain is None:
        return None
    cells = manifest.latent.factor // manifest.grain.factor
    return manifest.grain.channels, height * cells, width * cells


def input_shapes(manifest: Manifest, step: str, height: int, width: int) -> dict[str, tuple[int, ...]]:
    """The shape without the batch of each named input that a step graph reads beside a latent of (height, width) cells."""
    latent = manifest.latent
    field = latent.channels, height, width
    given = {name: manifest.inputs[name] for name in manifest.reads.get(step, ())}
    return {name: named_inputs.shape_of(each, field, latent.factor) for name, each in given.items()}


OF_TOKENS: dict[object, Any] = {"music": MusicManifest, codes.KIND: CodesManifest}
"""Manifests of models that say tokens, by kind."""


def read(data: bytes) -> Manifest:
    """The manifest in these bytes of JSON, or a refusal with the path of what is wrong.

    Where the kind is one of OF_TOKENS it is a manifest that only what serves that kind reads; the others share Manifest.
    """
    try:
        told = msgspec.json.decode(data)
        number, kind = told.get("format"), told.get("kind")
    except (msgspec.DecodeError, AttributeError, RecursionError) as error:
        raise Corrupt("bundle.json", f"is no JSON object ({error})", "export the bundle again") from error
    if number != FORMAT:
        raise Corrupt(
            "bundle.json.format", f"is {number!r}, this build reads format {FORMAT}", "export it with this build"
        )
    form = OF_TOKENS.get(kind, Manifest) if isinstance(kind, str) else Manifest
    try:
        manifest = cast(Manifest, msgspec.convert(_moved(told), form))
    except (msgspec.ValidationError, RecursionError) as error:
        raise Corrupt("bundle.json", str(error), "export the bundle again") from error
    check(manifest)
    return manifest


def _moved(told: dict[str, Any]) -> dict[str, Any]:
    """Manifests written before `samples` and `sheet` had fields say the same in their provenance."""
    provenance = told.get("provenance")
    if not isinstance(provenance, dict):
        return told
    if told.get("kind") == SOUND and "samples" not in told and "sample_rate_hz" in provenance:
        rate = provenance["sample_rate_hz"]
        whole = isinstance(rate, float) and rate.is_integer()
        return {**told, "samples": {"rate_hz": int(rate) if whole else rate}}
    if told.get("kind") == FLIPBOOK and "sheet" not in told and "frames" in provenance:
        names = ("frames", "rows", "columns", "rate")
        return {**told, "sheet": {name: provenance[name] for name in names if name in provenance}}
    return told


def check(manifest: Manifest) -> None:
    """What types cannot say."""
    given: object = manifest
    if isinstance(given, MusicManifest):
        music.check(given)
        return
    if isinstance(given, CodesManifest):
        codes.check(given)
        return
    latent = manifest.latent
    if not (
        0 < latent.factor <= latent.minimum <= latent.maximum
        and latent.multiple > 0
        and latent.multiple % latent.factor == 0 < latent.channels
    ):
        raise OutOfRange("latent", msgspec.to_builtins(latent), "sizes in whole cells, minimum up to maximum")
    for share in (manifest.guidance_share, *(table.guidance_share for table in manifest.recommended)):
        if share is not None and not 0.0 < share <= 1.0:
            raise OutOfRange("guidance_share", share, "above 0, to 1")
    grain = manifest.grain
    if grain is not None and not (grain.channels > 0 < grain.factor and latent.factor % grain.factor == 0):
        raise OutOfRange("grain", msgspec.to_builtins(grain), f"whole cells of a divisor of {latent.factor} pixels")
    tiles = manifest.tiles
    if tiles is not None and not (4 <= tiles.overlap <= tiles.cells // 2 and tiles.cells <= 1024):
        raise OutOfRange("tiles", msgspec.to_builtins(tiles), "at most 1024 cells, an overlap of 4 to half of them")
    if not manifest.recommended:
        raise OutOfRange("recommended", [], "at least one table")
    for table in manifest.recommended:
        for name, times in table.lists().items():
            _check_times(name, times, table.steps)
    _check_conditioning(manifest)
    _check_kind(manifest)
    for name in NEEDED:
        if name not in manifest.graphs:
            raise Corrupt("graphs", f"{name!r} is missing", "export the bundle again")
    for engine in manifest.engines:
        if engine.file not in manifest.files:
            raise Corrupt(f"engines.{engine.file}", "is not among the files", "export the bundle again")
    named_inputs.check(manifest.inputs, manifest.reads, manifest.graphs)
    known = (*NEEDED, *OPTIONAL, *sorted(named_inputs.known_graphs(manifest.inputs, manifest.reads)))
    for name in manifest.graphs:
        if name not in known:
            raise Unknown("graphs", name, known)


def _check_kind(manifest: Manifest) -> None:
    """That it says how to use what it makes, and says nothing of other kinds."""
    for kind, field, told in ((SOUND, "samples", manifest.samples), (FLIPBOOK, "sheet", manifest.sheet)):
        if (told is None) == (manifest.kind == kind):
            what = "is missing" if told is None else f"is of kind {kind!r} only, this is {manifest.kind!r}"
            raise Corrupt(field, what, "export the bundle again")
    if manifest.samples is not None and not 1 <= manifest.samples.rate_hz <= RATE_LIMIT:
        raise OutOfRange("samples.rate_hz", manifest.samples.rate_hz, f"1 to {RATE_LIMIT} samples a second")
    sheet = manifest.sheet
    if sheet is not None and not (sheet.rows * sheet.columns == sheet.frames >= 1 and 0 < sheet.rate <= 1000):
        raise OutOfRange(
            "sheet", msgspec.to_builtins(sheet), "a full sheet: rows times columns frames, 0 to 1000 a second"
        )


def _check_times(name: str, times: list[float], steps: int) -> None:
    falling = all(a > b for a, b in zip(times, times[1:], strict=False))
    if not falling or len(times) not in (steps, steps + 1) or not all(map(math.isfinite, times)):
        raise OutOfRange(f"recommended.{name}", times, f"{steps} falling numbers, with or without the end")


def _check_conditioning(manifest: Manifest) -> None:
    given = manifest.conditioning
    if isinstance(given, Words):
        if given.words and not 0 < given.materials <= len(given.words):
            raise OutOfRange("conditioning.materials", given.materials, "1 to the number of words")
        twice = next((word for word, count in Counter(given.words).items() if count > 1), None)
        if twice is not None:  # which entry of the condition it is would be a guess
            raise Corrupt("conditioning.words", f"has {twice!r} more than once", "export the bundle again")
        return
    if not given.tokenizers or given.size < 1:
        raise OutOfRange("conditioning", msgspec.to_builtins(given), "at least one tokenizer and a size of at least 1")
    told = given.guidance
    if told is not None and not (
        (told.width == 1 or told.width >= 4) and all(map(math.isfinite, (told.default, told.scale, told.offset)))
    ):
        raise OutOfRange("conditioning.guidance", msgspec.to_builtins(told), "a width of 1 or from 4, finite numbers")
    if "encode_text" not in manifest.graphs:
        raise Corrupt("graphs", "'encode_text' is missing", "export the bundle again")
    for tokenizer in given.tokenizers:
        if tokenizer.file not in manifest.files:
            raise Corrupt(f"conditioning.{tokenizer.file}", "is not among the files", "export the bundle again")
