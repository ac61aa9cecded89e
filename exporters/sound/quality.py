"""How good the embedded sounds are, in numbers, by class: of what the bundle serves, against sounds that were not trained on.

    python -m cadenza.exporters.sound.quality                 # writes quality.json and sheets of spectrograms to --out

likeness  distance of a made sound to the nearest held-out one, over that of held-out sounds to each other: 1 is as near
variety   distance of made sounds to each other, over that of held-out ones
named     share of sounds that an independent classifier names as asked
seam      largest step, and change of slope, across the wrap over the 99th percentile inside: ambiences only
attack    milliseconds from a tenth of the loudest to six tenths: one-shots only
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from ...runtime.bundles import EMBEDDED
from ...runtime.runtime import Runtime
from . import classifier
from .codec import CELL
from .dataset import HELD_OUT, wave_of
from .measures import attack, described, distances, level, seam
from .signal import RATE
from .vocabulary import LOOPS, SOUNDS

CELLS = 64
"""Of every sound here, 2 s."""
Waves = Sequence[NDArray[np.float32]]


def data(sound: str, first: int, count: int, plain: bool = True) -> Waves:
    """Held-out sounds of a class."""
    seeds = (HELD_OUT + (first + i) * len(SOUNDS) - HELD_OUT % len(SOUNDS) + SOUNDS.index(sound) for i in range(count))
    return [wave_of(seed, plain, CELLS)[0] for seed in seeds]


def served(runtime: Runtime, sound: str, steps: int, seeds: Sequence[int]) -> Waves:
    """Sounds of a class as a game would get them."""
    asked = {"kind": "sound", "prompt": sound, "steps": steps, "seconds": CELLS * CELL / RATE}
    works = [runtime.submit({**asked, "seed": seed}) for seed in seeds]
    return [work.wait(600).audio[:, 0] for work in works]


def judged(made: Waves, real: Waves, other: Waves, sound: str) -> dict[str, float]:
    """The figures of a class; `real` and `other` are two lots of held-out sounds."""
    loops = sound in LOOPS
    ours, theirs, others = ([described(wave, loops) for wave in waves] for waves in (made, real, other))
    figures = {
        "likeness": float(np.median(distances(ours, theirs).min(1)) / np.median(distances(others, theirs).min(1))),
        "variety": _apart(ours) / _apart(theirs),
    }
    levels, wanted = ([level(wave) for wave in waves] for waves in (made, real))
    for name in ("rms", "peak"):
        figures[f"{name}_db"] = float(np.median([each[name] for each in levels]))
        figures[f"{name}_db_data"] = float(np.median([each[name] for each in wanted]))
    figures["clipped"] = float(np.max([each["clipped"] for each in levels]))
    figures["dc"] = float(np.max([abs(each["dc"]) for each in levels]))
    if loops:
        seams = np.array([seam(wave) for wave in made])
        figures |= {"seam": float(np.max(seams[:, 0])), "seam_slope": float(np.max(seams[:, 1]))}
    else:
        figures |= {"attack_ms": float(np.median([attack(each) for each in made]))}
        figures |= {"attack_ms_data": float(np.median([attack(each) for each in real]))}
    return figures


def _apart(described_ones: Sequence[NDArray[np.float64]]) -> float:
    between = distances(described_ones, described_ones)
    return float(np.median(between[np.triu_indices(len(between), 1)]))


def judge(per_class: int) -> tuple[torch.nn.Sequential, float]:
    """The classifier, trained on sounds with and without modifiers, and its share of right answers on others."""
    known: list[NDArray[np.float32]] = []
    tried: list[NDArray[np.float32]] = []
    labels: list[int] = []
    right: list[int] = []
    for number, sound in enumerate(tqdm(SOUNDS, "judge", unit="class")):
        for plain, first in ((True, 1000), (False, 2000)):
            known += [classifier.heard(wave) for wave in data(sound, first, per_class, plain)]
            labels += [number] * per_class
        tried += data(sound, 3000, 10)
        right += [number] * 10
    model = classifier.train(known, labels)
    return model, float((classifier.named(model, tried) == np.array(right)).mean())


def report(bundle: Path, steps: Sequence[int], count: int, out: Path) -> dict[str, Any]:
    model, accuracy = judge(14)
    figures: dict[str, Any] = {"classifier_on_data": accuracy}
    real = {sound: (data(sound, 0, 8), data(sound, 100, 8)) for sound in SOUNDS}
    with Runtime([bundle], "onnxruntime") as runtime:
        for number in steps:
            made = {sound: served(runtime, sound, number, range(count)) for sound in tqdm(SOUNDS, f"{number} steps")}
            rows = {sound: judged(made[sound], *real[sound], sound) for sound in SOUNDS}
            for i, sound in enumerate(SOUNDS):
                rows[sound]["named"] = float((classifier.named(model, made[sound]) == i).mean())
            figures[f"{number} steps"] = {"mean": means(rows), **rows}
            sheet(out / f"sheet-{number}.png", {sound: (real[sound][0][:2], made[sound][:3]) for sound in SOUNDS})
    (out / "quality.json").write_text(json.dumps(rounded(figures), indent=1) + "\n", encoding="utf-8")
    return figures


def means(rows: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    names = ("named", "likeness", "variety", "seam", "seam_slope", "clipped")
    return {name: float(np.mean([row[name] for row in rows.values() if name in row])) for name in names}


def rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    return float(f"{value:.3g}")


def sheet(path: Path, waves: Mapping[str, tuple[Waves, Waves]]) -> None:
    """Spectrograms, a class a row: held-out ones on the left, made ones on the right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(waves) // 2, 10, figsize=(20, 1.3 * len(waves) // 2 + 1), squeeze=False)
    for at, (sound, (real, made)) in enumerate(waves.items()):
        row, column = at % (len(waves) // 2), 5 * (at // (len(waves) // 2))
        for i, wave in enumerate([*real, *made]):
            axis = axes[row, column + i]
            axis.specgram(wave + 1e-9, NFFT=512, Fs=RATE, noverlap=384, vmin=-150, vmax=-40)
            axis.set_axis_off()
            axis.set_title(f"{sound}, {'data' if i < len(real) else 'made'}", fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=70)
    pyplot.close(figure)


def page(figures: Mapping[str, Any]) -> str:
    """The figures as a table."""
    lines = [f"The classifier names {figures['classifier_on_data']:.0%} of held-out sounds.", ""]
    names = ("named", "likeness", "variety", "rms_db", "rms_db_data", "peak_db", "peak_db_data", "attack_ms",
             "attack_ms_data", "seam", "seam_slope", "clipped", "dc")  # fmt: skip
    for steps, rows in figures.items():
        if isinstance(rows, Mapping):
            lines += [f"{steps:<12}" + "".join(f"{name[:9]:>10}" for name in names)]
            for sound, row in rows.items():
                cells = (f"{row[name]:10.3g}" if name in row else f"{'':10}" for name in names)
                lines.append(f"{sound:<12}" + "".join(cells))
    return "\n".join(lines)


def main(
    bundle: Annotated[Path, typer.Option(help="the bundle that is judged")] = EMBEDDED / "sound",
    out: Annotated[Path, typer.Option(help="where the figures and sheets go")] = Path("training/sound"),
    steps: Annotated[list[int], typer.Option(help="numbers of steps")] = [8, 4],  # noqa: B006
    count: Annotated[int, typer.Option(min=2, help="sounds a class")] = 6,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    print(page(report(bundle, steps, count, out)))


if __name__ == "__main__":
    typer.run(main)
