"""A bundle: a folder with bundle.json and the files it names. Loading one checks every digest and executes nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from . import manifest as manifest_format
from . import tokens, words
from .manifest import GuidanceEmbedding, Manifest, Words
from .music.codes import CodesManifest
from .music.manifest import MusicManifest
from .refusal import Corrupt, Refusal

MANIFEST = "bundle.json"
MANIFEST_LIMIT = 4 << 20


@dataclass(frozen=True)
class Bundle:
    """`digest` is the sha-256 of bundle.json, which holds the digest of every file."""

    folder: Path
    manifest: Manifest
    digest: str

    def path(self, graph: str, backend: str = "") -> Path:
        """The file of a graph, or what was compiled of it for a backend, where the bundle has that for any shapes."""
        for engine in self.manifest.engines if backend else ():
            if (engine.graph, engine.backend, engine.shapes) == (graph, backend, {}):
                return self.folder / engine.file
        return self.folder / self.manifest.graphs[graph]

    @property
    def condition_size(self) -> int:
        """Numbers of a condition of the step graph."""
        known = self.manifest.conditioning
        if isinstance(known, Words):
            return len(known.words)
        return known.size + (known.guidance.width if known.guidance else 0)

    @property
    def steps(self) -> dict[frozenset[str], str]:
        """Step graphs by the names of the inputs that they read beside latent, time and condition; the plain one first."""
        reads = {"step": (), **self.manifest.reads}
        return {frozenset(names): step for step, names in reads.items()}

    @property
    def embedded_guidance(self) -> GuidanceEmbedding | None:
        """How the network is told its strength of guidance, where it is."""
        return getattr(self.manifest.conditioning, "guidance", None)

    @property
    def example(self) -> str:
        """A prompt that this bundle understands."""
        known = self.manifest.conditioning
        return "stone" if not isinstance(known, Words) else known.words[0] if known.words else ""

    def parse_prompt(self, text: str, field: str = "prompt") -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """(condition (K,), words not known), or for free text (tokens (T,), what was too long)."""
        known = self.manifest.conditioning
        if isinstance(known, Words):
            return words.parse(text, known, field)
        return tokens.parse(text, known, self.folder)

    def parse_negative(self, text: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """The same for a negative prompt, which may be empty: no words, or the tokens of no text."""
        known = self.manifest.conditioning
        if not text and isinstance(known, Words):
            return np.zeros(len(known.words), np.float32), ()
        return self.parse_prompt(text, "negative")

    def describe(self) -> dict[str, Any]:
        m = self.manifest
        given: object = m
        if isinstance(given, MusicManifest):
            told = {"name": m.name, "digest": self.digest, "kind": m.kind, "licence": m.licence, "prompt": "words"}
            return {**told, "recommended": [msgspec.to_builtins(given.recommended)]}
        if isinstance(given, CodesManifest):
            told = {"name": m.name, "digest": self.digest, "kind": m.kind, "licence": m.licence, "prompt": "text"}
            length = {"sample_rate_hz": given.rate_hz, "seconds": {"minimum": given.seconds, "maximum": given.seconds}}
            return {**told, **length, "recommended": [msgspec.to_builtins(given.recommended)]}
        known = m.conditioning if isinstance(m.conditioning, Words) else None
        return {
            "name": m.name,
            "digest": self.digest,
            "kind": m.kind,
            "sizes": {"minimum": m.latent.minimum, "maximum": m.latent.maximum, "multiple": m.latent.multiple},
            "recommended": [msgspec.to_builtins(table) for table in m.recommended],
            "prompt": "words" if known else "text",
            "materials": known.words[: known.materials] if known else [],
            "guidance_share": m.guidance_share,
            "embedded_guidance": self.embedded_guidance.default if self.embedded_guidance else None,
            "modifiers": known.words[known.materials :] if known else [],
            "inputs": {name: msgspec.to_builtins(given) for name, given in m.inputs.items()},
            "reads": m.reads,
            "pictures": "encode_image" in m.graphs,
            "licence": m.licence,
            **self._played(),
        }

    def _played(self) -> dict[str, Any]:
        """Of a sound its rate and greatest length, of a flipbook its sheet."""
        m = self.manifest
        if m.samples is not None:
            rate = m.samples.rate_hz
            return {
                "sample_rate_hz": rate,
                "seconds": {"minimum": m.latent.minimum / rate, "maximum": m.latent.maximum / rate},
            }
        return {} if m.sheet is None else {"sheet": msgspec.to_builtins(m.sheet)}


def load_bundle(folder: Path) -> Bundle:
    """The bundle in a folder, or a refusal that names the file and what is wrong with it."""
    path = folder / MANIFEST
    if not path.is_file():
        raise Refusal("missing", "bundle", f"{folder} has no {MANIFEST}", "give the folder of an exported bundle")
    if path.stat().st_size > MANIFEST_LIMIT:
        raise Corrupt(
            MANIFEST, f"has {path.stat().st_size} bytes, more than {MANIFEST_LIMIT}", "export the bundle again"
        )
    data = path.read_bytes()
    manifest = manifest_format.read(data)
    for name in manifest.graphs.values():
        if name not in manifest.files:
            raise Corrupt(f"graphs.{name}", "is not among the files", "export the bundle again")
    for name, digest in manifest.files.items():
        _check_file(folder, name, digest)
    return Bundle(folder, manifest, hashlib.sha256(data).hexdigest())


def write_bundle(folder: Path, manifest: Manifest, files: Mapping[str, bytes], present: Iterable[str] = ()) -> Bundle:
    """Writes the files and then the manifest with the digests of them and of those already `present` in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        _write(folder / name, data)
    return seal(folder, manifest, {*files, *present})


def seal(folder: Path, manifest: Manifest, names: Iterable[str]) -> Bundle:
    """Writes the manifest with the digests of these files, which are in the folder; from then on it is a bundle."""
    digests = {name: _digest(folder / name) for name in sorted(names)}
    complete = msgspec.structs.replace(manifest, files=digests)
    manifest_format.check(complete)
    _write(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(complete, order="sorted"), indent=1) + b"\n")
    return load_bundle(folder)


def add_files(bundle: Bundle, files: Mapping[str, bytes]) -> Bundle:
    """The bundle with these files added or replaced. Its digest changes, so recipes made with it before name another one."""
    for name, data in files.items():
        _write(bundle.folder / name, data)
    return seal(bundle.folder, bundle.manifest, {*bundle.manifest.files, *files})


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)


def _check_file(folder: Path, name: str, digest: str) -> None:
    field, pure = f"files.{name:.60}", PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name:  # of Windows: C:/x, C:x, a stream of x
        raise Corrupt(field, "points outside the bundle", "do not use this bundle")
    path = folder / name
    try:
        if not path.is_file():
            raise Corrupt(field, "is missing", "copy the whole bundle, or export it again")
        actual = _digest(path)
    except OSError as error:  # such as a name that is too long for the disk
        raise Corrupt(
            field, f"cannot be read ({error.strerror})", "copy the whole bundle, or export it again"
        ) from error
    if actual != digest:
        raise Corrupt(field, f"has the digest {actual[:12]}, the manifest says {digest[:12]}", "copy it again")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
