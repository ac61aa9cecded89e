"""`cadenza export`, `verify` and `engines`: heavy imports wait until a command runs, as every command loads this file."""

from __future__ import annotations

import json as json_format
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from click.core import ParameterSource

from ..assets.refusal import Refusal

if TYPE_CHECKING:
    from ..assets.bundle import Bundle

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


ADOPTION = ("source", "out", "adopt", "dry_run", "json")
TUNES = ("source", "out", "seconds", "precision", "name", "dry_run", "json")
"""Options of `export` that are looked at where a graph is adopted, and where the model is MusicGen."""


def export(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(help="Folder or hub id of a diffusers pipeline or of MusicGen, or a single-file checkpoint."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    family: Annotated[
        str, typer.Option(help="How it was distilled; auto reads names, the model card and the scheduler's config.")
    ] = "auto",
    steps: Annotated[list[int] | None, typer.Option(help="A step count of the family, may be repeated.")] = None,
    precision: Annotated[
        str, typer.Option(help="fp32, fp16, bf16, int8 (measured ranges), int8_weights or int4_weights.")
    ] = "fp32",
    seamless: Annotated[str, typer.Option(help="Circular padding: x, y or xy.")] = "",
    size: Annotated[int, typer.Option(help="Pixels a side, for families whose grid follows from it.")] = 1024,
    seconds: Annotated[float, typer.Option(help="Of a piece, where the model is MusicGen.")] = 10.0,
    frames: Annotated[int, typer.Option(help="Of a clip, where the pipeline makes clips.")] = 16,
    unrolled: Annotated[int, typer.Option(help="Write this step count as a graph without a loop, too.")] = 0,
    name: Annotated[str, typer.Option(help="Of the bundle; without it the folder's.")] = "",
    adopt: Annotated[
        Path | None, typer.Option(help="A description, for any ONNX denoiser: see exporters/EXPORT.md.")
    ] = None,
    lora: Annotated[list[str] | None, typer.Option(help="FILE:STRENGTH to fuse in, may be repeated.")] = None,
    inversion: Annotated[list[str] | None, typer.Option(help="File of a textual inversion, may be repeated.")] = None,
    vae: Annotated[str, typer.Option(help="Folder or hub id of another autoencoder, also a tiny one.")] = "",
    control: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER of a ControlNet, or a known one's name alone, as depth; may be repeated."),
    ] = None,
    adapter: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE of an IP-Adapter's weights, its image_encoder beside it.")
    ] = None,
    tiles: Annotated[
        int, typer.Option(help="Latent cells a side of the tiles that large pictures are decoded in; 0 for none.")
    ] = 0,
    seeds: Annotated[
        int, typer.Option(help="That the report compares with diffusers; without it 3, of large models 1.")
    ] = 0,
    config: Annotated[
        str, typer.Option(help="For a single file: folder of a diffusers pipeline that describes it.")
    ] = "",
    materials: Annotated[
        bool, typer.Option(help="Guess height and roughness from colour; without, the surface is flat.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made and how large.")] = False,
    json: Json = False,
) -> None:
    """Compile a few-step diffusers pipeline, or adopt an ONNX denoiser, with the solver loop into a bundle."""
    if adopt is not None:
        _only(context, ADOPTION, "a graph that is adopted by its description")
        _needs("onnx")
        from .adopt import adopt as adopt_graph
        from .adopt import plan_adoption

        made = plan_adoption(Path(source), adopt)
        _say(made if dry_run else made | _made(adopt_graph(Path(source), adopt, out)), json)
        return
    _needs("onnx", "onnxscript", "torch", "diffusers", "transformers")
    _hush()
    if is_musicgen(source):
        _only(context, TUNES, "MusicGen")
        from .music.musicgen import export_folder, opened

        made = opened(source, seconds, precision)[2]
        _say(made if dry_run else made | _made(export_folder(source, out, seconds, precision, name)), json)
        return
    from .diffusion.adapter import parse_adapter
    from .diffusion.additions import add_inversions, fuse_loras, parse_lora
    from .diffusion.autoencoder import replace_vae
    from .diffusion.card import said_of
    from .diffusion.control import parse_control
    from .diffusion.export import export_pipeline
    from .diffusion.opening import open_pipeline
    from .diffusion.planning import Options, plan_export, unused

    loras = [parse_lora(text) for text in lora or ()]
    options = Options(
        family=family,
        steps=tuple(steps or ()),
        precision=precision,
        seamless=seamless,
        name=name,
        size=size,
        frames=frames,
        unrolled=unrolled,
        controls=tuple(parse_control(text) for text in control or ()),
        materials=materials,
        said=said_of(source, [file for file, _ in loras]),
        adapters=tuple(parse_adapter(text) for text in adapter or ()),
        tiles=tiles,
        seeds=seeds,
    )
    pipe = open_pipeline(source, config)
    if vae:
        replace_vae(pipe, vae)
    fuse_loras(pipe, loras)
    add_inversions(pipe, inversion or ())
    made = plan_export(pipe, options)
    _only(context, set(context.params) - unused(made), f"{made['pipeline']} and the family {made['family']}")
    _say(made if dry_run else made | _made(export_pipeline(pipe, out, options)), json)


def _made(bundle: Bundle) -> dict[str, Any]:
    return {"folder": str(bundle.folder), "digest": bundle.digest, "files": sorted(bundle.manifest.files)}


def _only(context: typer.Context, known: Collection[str], what: str) -> None:
    """Refuses options that were given and that this kind of export does not look at."""
    for name in context.params:
        if name not in known and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise Refusal("contradiction", name, f"says nothing to {what}", "leave it out")


def is_musicgen(source: str) -> bool:
    """Whether the folder's configuration is that of transformers' MusicGen; a hub id is one by its name."""
    path = Path(source) / "config.json"
    if not path.is_file():
        return "musicgen" in source.lower() and not Path(source).exists()
    return json_format.loads(path.read_text(encoding="utf-8")).get("model_type") == "musicgen"


def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    write: Annotated[
        bool, typer.Option("--write", help="Put the report into the bundle, which changes the bundle's digest.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Write seconds, sizes and plots to BUNDLE/measured.")
    ] = False,
    json: Json = False,
) -> None:
    """Check every sampler of a bundle: engine and loop graph against the float64 reference."""
    _needs("onnx")
    from ..assets.bundle import add_files, load_bundle
    from .report import diverged, page, report_files
    from .verify import check_bundle

    opened = load_bundle(bundle)
    report = check_bundle(opened)
    typer.echo(json_format.dumps(report) if json else page(report))
    if not report["passed"]:
        typer.echo(f"cadenza: {diverged(report)}", err=True)
        raise typer.Exit(1)
    if write:
        opened = add_files(opened, report_files(report))
    if measure:
        from .measured import write_measured

        write_measured(opened, report)


def engines(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    kind: Annotated[
        str, typer.Option(help="tensorrt-rtx (needs no GPU), tensorrt (for the GPU here) or openvino (any size).")
    ] = "tensorrt-rtx",
    size: Annotated[
        int, typer.Option(help="Pixels a side, of a sound samples; without it 256, or what the bundle makes.")
    ] = 0,
    batch: Annotated[list[int] | None, typer.Option(help="Batch size, may be repeated; 1 without it.")] = None,
    target: Annotated[list[str] | None, typer.Option(help="Compute capability such as 8.9, may be repeated.")] = None,
    shared_memory: Annotated[
        int, typer.Option(help="KiB of shared memory a kernel, for a GPU that draws meanwhile: 48; 0 for no limit.")
    ] = 0,
    graph: Annotated[list[str] | None, typer.Option(help="A graph, may be repeated; all without it.")] = None,
    json: Json = False,
) -> None:
    """Build engines into a bundle, TensorRT-RTX's without a GPU. Changes the bundle's digest."""
    from ..assets.bundle import load_bundle
    from .engines import Wanted, add_engines

    wanted = Wanted(kind, size, batch or [1], target or [], shared_memory, graph or [])
    made = add_engines(load_bundle(bundle), wanted)
    rows = [
        {"file": e.file, "targets": ", ".join(e.targets), "bytes": _bytes(made.folder / e.file)}
        for e in made.manifest.engines
    ]
    if json:
        typer.echo(json_format.dumps({"digest": made.digest, "engines": rows}))
        return
    for row in rows:
        typer.echo(f"{row['file']:<36}{row['bytes']:>12} bytes  {row['targets']}".rstrip())


def _bytes(engine: Path) -> int:
    """Of a file, with what OpenVINO puts beside it."""
    return sum(part.stat().st_size for part in {engine, engine.with_suffix(".bin")} if part.is_file())


def _say(made: dict[str, Any], json: bool) -> None:
    if json:
        typer.echo(json_format.dumps(made))
        return
    for key, value in made.items():
        typer.echo(f"{key.replace('_', ' '):<14}{f'{value:,}' if isinstance(value, int) else value}")


def _hush() -> None:
    """Keeps what these libraries say of their own inside, and their bars, out of the command's sight; errors still rise."""
    import warnings

    import diffusers
    import transformers

    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    for category in (FutureWarning, DeprecationWarning, UserWarning):
        warnings.filterwarnings(
            "ignore", category=category, module=r"(diffusers|transformers|huggingface_hub|torch|peft)\b"
        )


def _needs(*packages: str) -> None:
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            raise Refusal("missing", "export", f"needs the package {package}", "pip install 'cadenza[export]'")
