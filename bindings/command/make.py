"""`cadenza make`: one asset into files, and its recipe beside it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from ...assets.animated import ANIMATIONS
from ...assets.files import FORMATS
from ...assets.manifest import FLIPBOOK, SOUND
from ...assets.refusal import Refusal
from ...assets.texture import Texture
from ...bridge import Game, connect
from . import dials, make_music, make_sound, pictures
from .output import (
    LOADING,
    check_format,
    choose_maps,
    patience,
    place,
    remember,
    show,
    writable,
    write_previews,
    write_texture,
)

PLAYED = (*FORMATS, *ANIMATIONS)
"""Formats of a flipbook: sheets of its maps, or its colours as they play."""
Out = Annotated[
    str | None, typer.Option(help="File of the colour map, or a FOLDER/; the other files are named after it.")
]
Format = Annotated[
    str | None,
    typer.Option(help="png, dds, ktx2; gif, apng of a flipbook; wav, flac, ogg; without it --out's ending says."),
]
Pack = Annotated[
    list[str] | None, typer.Option(help="Also a packed map: orm, unity_mask, unity_metallic; may be repeated.")
]
DirectX = Annotated[bool, typer.Option("--directx", help="The normal map with Y down (Unreal) instead of up.")]
Preview = Annotated[
    bool, typer.Option("--preview", help="Also pictures: 3 x 3 tiles, a lit sphere, a lit plane, all maps.")
]


def make(
    kind: Annotated[str, typer.Argument(help="texture, music, sound; with a bundle of its kind flipbook, heightmap")],
    prompt: dials.Prompt,
    seed: dials.Seed = 0,
    size: dials.SizeOrImages = None,
    steps: dials.Steps = None,
    sampler: dials.Sampler = None,
    spacing: dials.Spacing = None,
    guidance: dials.Guidance = None,
    negative: dials.Negative = None,
    eta: dials.Eta = None,
    variation_seed: dials.VariationSeed = None,
    variation_strength: dials.VariationStrength = None,
    noise: dials.Noise = None,
    embedded_guidance: dials.EmbeddedGuidance = None,
    guidance_interval: dials.GuidanceInterval = None,
    corrector: dials.Corrector = None,
    image: dials.Image = None,
    denoise: dials.Denoise = None,
    mask: dials.Mask = None,
    input: dials.Inputs = None,
    x: dials.X = None,
    y: dials.Y = None,
    option: dials.Options = None,
    out: Out = None,
    format: Format = None,
    pack: Pack = None,
    directx: DirectX = False,
    preview: Preview = False,
    bars: make_music.Bars = None,
    bpm: make_music.Bpm = None,
    key: make_music.Key = None,
    style: make_music.Style = None,
    section: make_music.Section = None,
    signature: make_music.Signature = None,
    intensity: make_music.Intensity = None,
    density: make_music.Density = None,
    brightness: make_music.Brightness = None,
    temperature: make_music.Temperature = None,
    top_k: make_music.TopK = None,
    top_p: make_music.TopP = None,
    only: make_music.Only = None,
    mute: make_music.Mute = None,
    loudness: make_music.Loudness = None,
    rate: make_music.Rate = None,
    soundfont: make_music.SoundFont = None,
    stems: make_music.Stems = False,
    seconds: make_sound.Seconds = None,
    bits: make_sound.Bits = None,
    gain_db: make_sound.GainDb = 0.0,
    anew: make_sound.Anew = None,
    server: dials.Server = None,
    bundle: dials.Bundles = None,
    backend: dials.Backend = "auto",
    json: dials.Json = False,
) -> None:
    """Make an asset and write it to files."""
    played = dict(
        bars=bars,
        bpm=bpm,
        key=key,
        style=style,
        section=section,
        signature=signature,
        intensity=intensity,
        density=density,
        brightness=brightness,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        only=only,
        mute=mute,
        loudness=loudness,
        rate=rate,
        soundfont=make_music.played_by(soundfont, server) if kind == "music" else soundfont,
    )
    sounding = {"seconds": seconds, "gain-db": gain_db or None, "anew": anew}
    pictured = dict(size=size, mask=mask, input=input, x=x, y=y, pack=pack, directx=directx)
    latent: dict[str, Any] = dict(
        steps=steps,
        sampler=sampler,
        spacing=spacing,
        negative=negative,
        eta=eta,
        variation_seed=variation_seed,
        variation_strength=variation_strength,
        noise=noise,
        embedded_guidance=embedded_guidance,
        guidance_interval=guidance_interval,
        corrector=corrector,
        image=image,
        denoise=denoise,
    )
    if kind == "music":
        dials.refuse({**pictured, **latent, "option": option}, kind, "pictures")
        dials.refuse(sounding, kind, "sounds")
        wanted = make_music.request(prompt, seed, {**played, "guidance": guidance})
        file = make_music.target(place(out), prompt, seed, format)
        with open_game(server, bundle, backend) as game:
            made = watched(game, wanted, () if stems else ("audio", "score"))
        make_music.write(made, file, stems, bits, preview, json)
        return
    dials.refuse({**played, "stems": stems}, kind, "music")
    latent |= dict(
        seed=seed,
        guidance=guidance,
        image=None if image is None else pictures.start_from(image),
        options=option,
    )
    if kind == SOUND:
        dials.refuse({**pictured, "preview": preview}, kind, "pictures")
        asked = dials.request(kind, prompt, None, **latent, seconds=seconds, anew=make_sound.spans(anew))
        file = make_music.target(place(out), prompt, seed, format, kind)
        with open_game(server, bundle, backend) as game:
            made = watched(game, asked)
        make_sound.write(made, file, bits, gain_db, json)
        return
    dials.refuse({**sounding, "bits": bits}, kind, "sounds")
    asked = dials.request(
        kind, prompt, size, **latent, mask=pictures.mask(mask), inputs=pictures.inputs(input), x=x, y=y
    )
    path, format = target(place(out), prompt, seed, format, PLAYED if kind == FLIPBOOK else FORMATS)
    if format in ANIMATIONS:
        dials.refuse({"pack": pack, "directx": directx}, format, "maps")
    writable(path.parent, "out")
    maps = choose_maps(pack or (), directx)
    with open_game(server, bundle, backend) as game:
        texture = watched(game, asked)
    milliseconds = dict(texture.milliseconds)
    began = time.perf_counter()
    files = texture.save(path) if format in ANIMATIONS else write_texture(texture, path, format, maps)
    milliseconds["files"] = 1e3 * (time.perf_counter() - began)
    if preview:
        began = time.perf_counter()
        files += write_previews(texture, path)
        milliseconds["preview"] = 1e3 * (time.perf_counter() - began)
    remember(texture)
    show(summary(texture, files, milliseconds), json)


def target(
    out: Path | None, prompt: str, seed: int, format: str | None, formats: Iterable[str] = FORMATS
) -> tuple[Path, str]:
    """The file of the colour map and its format: `out`, or named after the prompt in the folder `out`."""
    if out is None or out.is_dir():
        words = re.sub(r"[^\w]+", "-", prompt.lower()).strip("-")[:60] or "texture"
        format = check_format(format or "png", formats)
        return (out or Path()) / f"{words}-{seed}.{format}", format
    ending = out.suffix.lstrip(".").lower()
    format = check_format(format or ending or "png", formats)
    if ending and ending != format:
        raise Refusal("contradiction", "format", f"{format!r} stands against {out.name!r}", "give one of them")
    return (out if ending else out.with_suffix(f".{format}")), format


def open_game(server: str | None, bundles: list[Path] | None, backend: str = "auto") -> Game:
    """A running server, or an engine in this process."""
    if server and (bundles or backend != "auto"):
        named = "bundle" if bundles else "backend"
        raise Refusal("contradiction", named, "is the server's to choose", "leave out --server, or give it to serve")
    with patience(f"looking for {server}" if server else LOADING):
        return connect(server) if server else connect("inproc", bundles=bundles, backend=backend)


def watched(game: Any, asked: dict[str, Any], parts: tuple[str, ...] = ()) -> Any:
    """The result of a request, with a progress bar once it has taken a second."""
    ticket = game.submit(pictures.with_arrays(asked), maps=parts)
    with tqdm(total=None, unit="row", delay=1.0, leave=False, disable=None) as bar:
        while True:
            try:
                return ticket.result(timeout=0.05)
            except TimeoutError:
                row, rows = ticket.progress
                bar.total = rows
                bar.update(row - bar.n)


def summary(texture: Texture, files: list[Path], milliseconds: dict[str, float]) -> dict[str, Any]:
    return {
        "id": texture.id,
        "recipe": texture.recipe,
        "digest": texture.digest,
        "ignored": list(texture.ignored),
        "made_by": texture.made_by,
        "files": [str(path) for path in files],
        "milliseconds": {stage: round(ms, 3) for stage, ms in milliseconds.items()},
    }
