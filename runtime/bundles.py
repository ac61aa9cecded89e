"""Bundles opened for use: graphs loaded on a backend, and the proof that their bits do not depend on company."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..assets.bundle import Bundle, load_bundle
from ..assets.inputs import beside
from ..assets.manifest import SOUND, Manifest
from ..assets.refusal import Refusal
from .engine.backends import Graph, chosen, open_backend
from .engine.network import Network
from .engine.proof import LENGTHS, SIZES, Sizes, prove, strictest
from .worker import Worker

EMBEDDED = Path(__file__).resolve().parent.parent / "assets" / "embedded"


def embedded_bundles() -> list[Path]:
    """Folders of the bundles that ship with the package; textures first, which a request gets that names no kind."""
    found = (path.parent for path in EMBEDDED.glob("*/bundle.json"))
    return sorted(found, key=lambda folder: (folder.name != "texture", folder.name))


def load_bundles(folders: Sequence[Path] | Path | str | None) -> dict[str, Bundle]:
    """Bundles by digest, in the order given; without folders the embedded ones. A single folder is a list of one."""
    chosen = embedded_bundles() if folders is None else [folders] if isinstance(folders, str | Path) else folders
    if not chosen:
        raise Refusal(
            "missing", "bundle", "no bundle to serve", "give --bundle DIR, or install a build with the embedded one"
        )
    bundles = [load_bundle(Path(folder)) for folder in chosen]
    return {bundle.digest: bundle for bundle in bundles}


def proof_sizes(manifest: Manifest) -> Sizes:
    """Latents that the proof tries: of a sound one cell high, and no longer than the bundle makes."""
    if manifest.kind != SOUND:
        return SIZES
    longest = manifest.latent.maximum // manifest.latent.factor
    return tuple(dict.fromkeys((1, min(length, longest)) for _, length in LENGTHS))


def open_network(bundle: Bundle, backend: str, threads: int, cache: Path) -> Network:
    """The bundle's graphs on a backend; proved once a machine, the proof is kept in `cache`.

    Graphs whose bits depend on the thread count are held to one thread, and the bundle's description says so.
    """
    load, path = open_backend(backend), partial(bundle.path, backend=chosen(backend)[0])

    def with_decoder(step: str, threads: int) -> tuple[Graph, Graph]:
        with closing(Worker("cadenza-load")) as beside:  # loading one leaves a core free
            decode = beside.make(load, path("decode"), threads)
            return load(path(step), threads), decode.result()

    step, decode = with_decoder("step", threads)
    steps = {name: step if name == "step" else load(path(name), threads) for name in bundle.steps.values()}
    sizes = proof_sizes(bundle.manifest)
    proof = strictest(
        prove(bundle, (graph, decode), threads, partial(with_decoder, name, 1), cache, sizes, name)
        for name, graph in steps.items()
    )
    if not proof.any_threads:
        network = open_network(bundle, backend, 1, cache)
        network.proof = replace(network.proof, one_thread=True)
        return network
    encode_text = load(path("encode_text"), threads) if "encode_text" in bundle.manifest.graphs else None
    encoders = {
        name: load(path(name), 1) for name in beside(bundle.manifest.inputs, bundle.manifest.graphs)
    }  # no proof is made of these
    return Network(bundle, step, decode, proof, encode_text, {**steps, **encoders})
