"""Says how good the embedded texture bundle is, in numbers and pictures.

    python -m cadenza.exporters.embedded.quality                 # numbers and contact sheets to out/
    python -m cadenza.exporters.embedded.quality --write         # and the numbers into the bundle, as quality.json

The bundle is asked as a game would ask it, through the runtime; the judge is a classifier that learnt from textures the
generator never saw (`classifier.py`). With the trainings at hand (`--training`), the teacher is measured beside it, which
takes most of a quarter of an hour. With 16 seeds that is four minutes, but chance alone then moves distances and variety by a
tenth, and the coarsest bands of the spectrum by 0.4 dB.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from ...assets.bundle import add_files, load_bundle
from ...runtime.bundles import EMBEDDED
from ...runtime.runtime import Runtime
from . import measures
from .classifier import Classifier, Judged, judge, judged_itself, load_classifier
from .dataset import HELD_OUT, condition, generate
from .freedoom import find_wad, labelled, read_wad
from .materials import CHANNELS
from .sampling import load_networks, sample_all, teacher_plan
from .vocabulary import MATERIALS, MODIFIERS

STEPS = (1, 2, 4)
MODIFIER_HOSTS = ("stone", "brick", "planks", "metal plate", "tiles")
"""Materials that each modifier is tried on."""

Maps = NDArray[np.uint8]


def ask(runtime: Runtime, prompts: Iterable[tuple[str, int]], steps: int, size: int = 128) -> Maps:
    """Maps (N, 6, size, size) of (prompt, seed) pairs, from the bundle itself."""
    asked = [{"prompt": prompt, "seed": seed, "size": size, "steps": steps} for prompt, seed in prompts]
    works = [runtime.submit(request) for request in asked]
    made = []
    for work in tqdm(works, f"{steps} steps", unit="tx"):
        texture = work.wait()
        data = (texture.height, texture.roughness, texture.metallic)
        made.append(np.concatenate([texture.albedo.transpose(2, 0, 1), np.stack(data)]))
    return np.stack(made)


def figures(
    maps: Maps, seen: Judged, truth: NDArray[np.int64], data: Maps, known: Judged, labels: NDArray[np.int64]
) -> dict[str, Any]:
    """One model's numbers: `maps` of materials `truth` (N,) against unseen `data` of materials `labels`, both without modifiers."""
    right = seen.materials == truth
    each = {MATERIALS[m]: round(float(right[truth == m].mean()), 3) for m in np.unique(truth)}
    made, real = maps.astype(np.float32) / 255, data.astype(np.float32) / 255
    off = measures.spectrum(made) - measures.spectrum(real)
    return {
        "materials_right": round(float(right.mean()), 3),
        "materials_told_apart": sum(share > 0.5 for share in each.values()),
        "kernel_distance": round(measures.kernel_distance(seen.features, known.features, truth, labels), 5),
        "variety": round(measures.variety(seen.features, truth) / measures.variety(known.features, labels), 3),
        "seam": [round(float(s), 3) for s in measures.seam(made)],
        "spectrum_db": {name: row.round(2).tolist() for name, row in zip(CHANNELS, off, strict=True)},
        "baked_light": round(measures.baked_light(made), 3),
        "edges_agree": round(measures.edges_agree(made) / measures.edges_agree(real), 3),
        "physical": round(measures.physical(made, truth, real, labels, 0.05), 3),
        "by_material": each,
    }


def modifier_figures(runtime: Runtime, classifier: Classifier, seeds: int) -> dict[str, Any]:
    """How often a modifier that was asked for is seen, and how often one that was not."""
    pairs = [(f"{modifier} {host}", seed) for modifier in MODIFIERS for host in MODIFIER_HOSTS for seed in range(seeds)]
    seen = judge(classifier, ask(runtime, pairs, 4)).modifiers.reshape(len(MODIFIERS), -1, len(MODIFIERS))
    plain = judge(
        classifier, ask(runtime, [(host, seed) for host in MODIFIER_HOSTS for seed in range(4 * seeds)], 4)
    ).modifiers
    each = {name: round(float(seen[i, :, i].mean()), 3) for i, name in enumerate(MODIFIERS)}
    return {
        "modifiers_right": round(float(np.mean(list(each.values()))), 3),
        "modifiers_seen_unasked": round(float(plain.mean()), 3),
        "by_modifier": each,
    }


def copies(maps: Maps, data: Maps, out: Path) -> dict[str, Any]:
    """How close the closest samples come to real textures that were trained on, beside how close unseen data come by chance."""
    real = np.stack([pixels.transpose(2, 0, 1) for pixels, _, _ in labelled(read_wad(find_wad()))])
    alike, which = measures.nearest(maps, real)
    chance, _ = measures.nearest(data, real)
    order = np.argsort(-alike)[:16]
    sheet(out / "nearest.png", [maps[order], real[which[order]]])
    return {"sixteen": [round(float(a), 3) for a in alike[order]], "data": round(float(chance.max()), 3)}


def sheet(path: Path, rows: Iterable[Maps]) -> None:
    """Colour maps as a grid: rows of (N, 6, H, W)."""
    lines = [np.concatenate([maps[:3] for maps in row], axis=2) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(lines, axis=1).transpose(1, 2, 0)).save(path, optimize=True)


def report(bundle: Path, training: Path, seeds: int, out: Path) -> dict[str, Any]:
    classifier, held_out = load_classifier(training)
    plain = generate(training / "plain", len(MATERIALS) * max(seeds, 16), 2 * HELD_OUT, plain=True)
    labels = plain.conditions[:, : len(MATERIALS)].argmax(1)
    data = np.asarray(plain.maps)
    known = judge(classifier, data)
    truth = np.repeat(np.arange(len(MATERIALS)), seeds)
    numbers: dict[str, Any] = {"classifier": judged_itself(classifier, held_out)}
    with Runtime([bundle]) as runtime:
        for steps in STEPS:
            maps = ask(runtime, [(MATERIALS[m], seed) for seed, m in enumerate(truth)], steps)
            numbers[f"student_{steps}"] = figures(maps, judge(classifier, maps), truth, data, known, labels)
            sheet(out / f"materials-{steps}.png", maps.reshape(len(MATERIALS), seeds, *maps.shape[1:])[:, :8])
        numbers["nearest_freedoom"] = copies(maps, data, out)
        numbers["modifiers"] = modifier_figures(runtime, classifier, 3)
        grid = [ask(runtime, [(f"{word} {host}", 1) for host in MODIFIER_HOSTS], 4) for word in ("", *MODIFIERS)]
        sheet(out / "modifiers.png", grid)
    if (training / "teacher" / "state.pt").is_file():
        maps = teacher_samples(training, truth)
        numbers["teacher"] = figures(maps, judge(classifier, maps), truth, data, known, labels)
        sheet(out / "materials-teacher.png", maps.reshape(len(MATERIALS), seeds, *maps.shape[1:])[:, :8])
    return numbers


def teacher_samples(training: Path, truth: NDArray[np.int64]) -> Maps:
    denoiser, autoencoder = load_networks(training, "teacher")
    conditions = np.stack([condition(MATERIALS[m], {}) for m in truth])
    return sample_all(denoiser, autoencoder.decoder, teacher_plan(), conditions, "teacher")


def main(
    bundle: Annotated[Path, typer.Option(help="folder of the bundle")] = EMBEDDED / "texture",
    training: Annotated[Path, typer.Option(help="where sets, the classifier and the teacher are")] = Path("training"),
    seeds: Annotated[int, typer.Option(min=2, help="seeds a material, and as many of unseen data, at least 16")] = 64,
    out: Annotated[Path, typer.Option(help="where the contact sheets go")] = Path("out"),
    write: Annotated[bool, typer.Option(help="put the numbers into the bundle, which changes its digest")] = False,
) -> None:
    text = json.dumps(report(bundle, training, seeds, out), indent=1) + "\n"
    (out / "quality.json").write_text(text, encoding="utf-8")
    print(text, end="")
    if write:
        print(f"{bundle}: {add_files(load_bundle(bundle), {'quality.json': text.encode()}).digest}")


if __name__ == "__main__":
    typer.run(main)
