"""What a listener hears, worked out from samples alone: tempo, key, notes. It knows nothing of how the sound was made."""

from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from scipy.signal import resample_poly, stft

from cadenza.assets.music.score import SCALES

HOP = 480


def onsets(audio, rate):
    """Onset strength (frames,) at 100 frames a second of 48 kHz, around the loop: rises of the logarithmic spectrum."""
    mono = audio.mean(axis=1)
    wide = np.concatenate([mono[-4096:], mono, mono[:4096]])
    _, times, spectrum = stft(wide, rate, nperseg=2048, noverlap=2048 - HOP, boundary=None, padded=False)
    level = np.log1p(300 * np.abs(spectrum) / np.abs(spectrum).max())
    strength = np.maximum(0, np.diff(level, axis=1)).sum(axis=0)
    first = round((4096 / rate - times[1]) * rate / HOP)
    return strength[first : first + len(mono) // HOP]


def tempo(audio, rate, lowest=66, highest=155):
    """Beats a minute: the pulse whose frequency, with that of its halves and quarters, is strongest in the onsets."""
    strength = onsets(audio, rate)
    strength = strength - strength.mean()
    time = np.arange(len(strength)) * HOP / rate
    window = np.hanning(len(strength))

    def support(bpm):
        return sum(
            weight * np.abs((strength * window * np.exp(-2j * np.pi * bpm / 60 * multiple * time)).sum())
            for multiple, weight in ((0.5, 0.5), (1, 1.0), (2, 1.0), (4, 0.6))
        )

    coarse = np.arange(lowest, highest, 0.4)
    best = coarse[int(np.argmax([support(bpm) for bpm in coarse]))]
    fine = np.arange(best - 0.5, best + 0.5, 0.02)
    return fine[int(np.argmax([support(bpm) for bpm in fine]))]


def chroma(audio, rate):
    """Strength of the twelve pitch classes: peaks of the spectrum between 60 and 2,000 Hz that lie near a note."""
    mono = audio.mean(axis=1)
    frequencies, _, spectrum = stft(mono, rate, nperseg=16384, noverlap=12288)
    use = (frequencies > 60) & (frequencies < 2000)
    pitch = 69 + 12 * np.log2(frequencies[use] / 440)
    near = np.exp(-(((pitch - np.round(pitch)) / 0.2) ** 2))
    power = np.sqrt(np.abs(spectrum[use])).sum(axis=1) * near / frequencies[use] ** 0.5
    return np.bincount(np.round(pitch).astype(int) % 12, power, 12)


def key(audio, rate):
    """(tonic, scale): the one whose profile, degrees weighted as listeners do, correlates best with the chroma.

    Weights after C. Krumhansl, Cognitive Foundations of Musical Pitch, 1990: first, fifth and third degree stand out.
    """
    heard = chroma(audio, rate)
    weights = (6.4, 3.4, 4.6, 4.1, 5.2, 3.7, 3.0)
    found = {}
    for scale, steps in SCALES.items():
        for tonic in range(12):
            profile = np.full(12, 2.2)
            for step, weight in zip(steps, weights, strict=True):
                profile[(tonic + step) % 12] = weight
            found[tonic, scale] = np.corrcoef(profile, heard)[0, 1]
    return max(found, key=found.get)


PROFILES = {
    "krumhansl": (
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    ),
    "temperley": (
        (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400),
        (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330),
    ),
}
"""Of major and minor keys, from the tonic up: what listeners gave (C. Krumhansl and E. Kessler 1982), and what the Kostka-Payne corpus
has (D. Temperley, Music and Probability, 2007)."""


def folded(audio, rate):
    """Chroma (12,) of the plain spectrum: magnitudes of every bin from 55 Hz to 5 kHz given to the nearest pitch class, each frame
    scaled to its largest."""
    mono = resample_poly(audio.mean(axis=1), 147, 320 if rate == 48000 else 294)
    frequencies, _, spectrum = stft(mono, 22050, nperseg=4096, noverlap=3072)
    use = (frequencies > 55) & (frequencies < 5000)
    pitch = np.round(69 + 12 * np.log2(frequencies[use] / 440)).astype(int)
    power = np.abs(spectrum[use]) ** 2
    frames = np.stack([power[pitch % 12 == each].sum(axis=0) for each in range(12)])
    return (frames / np.maximum(frames.max(axis=0), 1e-12)).mean(axis=1)


def constant_q(audio, rate):
    """Chroma (12,) by a constant-Q transform from C1 to B7, three bins a semitone, octave after octave of a signal that is halved
    (C. Schoerkhuber and A. Klapuri, Constant-Q transform toolbox, 2010); each frame scaled to its largest."""
    mono, speed, hop = resample_poly(audio.mean(axis=1), 147, 320 if rate == 48000 else 294), 22050, 4096
    total = np.zeros((12, len(mono) // hop))
    for octave in range(7, 0, -1):
        notes = 12 * (octave + 1) + np.arange(-1, 35) / 3
        frequencies = 440 * 2 ** ((notes - 69) / 12)
        lengths = speed / (frequencies * (2 ** (1 / 36) - 1))
        size = 1 << int(np.ceil(np.log2(lengths.max())))
        kernels = np.zeros((36, size), complex)
        for row, (frequency, length) in enumerate(zip(frequencies, lengths, strict=True)):
            at = np.arange(-int(length) // 2, int(length) // 2)
            kernels[row, size // 2 + at] = np.hanning(len(at)) / len(at) * np.exp(2j * np.pi * frequency / speed * at)
        padded = np.pad(mono, size // 2)
        starts = np.arange(total.shape[1]) * hop
        frames = np.lib.stride_tricks.sliding_window_view(padded, size)[starts]
        total += np.abs(frames @ kernels.conj().T).T.reshape(12, 3, -1).sum(axis=1)
        mono, speed, hop = resample_poly(mono, 1, 2), speed / 2, hop // 2
    return (total / np.maximum(total.max(axis=0), 1e-12)).mean(axis=1)


def major_or_minor(chroma, profiles):
    """(tonic, "major" or "minor") whose profile correlates best with a chroma (12,), as Krumhansl and Schmuckler do it."""
    found = {
        (tonic, mode): np.corrcoef(np.roll(profile, tonic), chroma)[0, 1]
        for mode, profile in zip(("major", "minor"), PROFILES[profiles], strict=True)
        for tonic in range(12)
    }
    return max(found, key=found.get)


@cache
def _transcriber():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = Path(__file__).parent / "basic_pitch" / "nmp.onnx"
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def transcribed(audio, rate):
    """What Basic Pitch (Spotify, 2022) hears: (onsets, notes), each (frames, 88) probabilities of the piano's keys, and its
    frames a second."""
    mono = resample_poly(audio.mean(axis=1), 147, 320 if rate == 48000 else 294).astype(np.float32)
    size, overlap = 43844, 30 * 256
    step = size - overlap
    padded = np.concatenate([np.zeros(overlap // 2, np.float32), mono, np.zeros(size, np.float32)])
    onset, note = [], []
    for start in range(0, len(mono) + overlap // 2, step):
        window = padded[start : start + size]
        outputs = _transcriber().run(
            ["StatefulPartitionedCall:2", "StatefulPartitionedCall:1"],
            {"serving_default_input_2:0": window[None, :, None]},
        )
        onset.append(outputs[0][0, 15:-15])
        note.append(outputs[1][0, 15:-15])
    return np.concatenate(onset), np.concatenate(note), 142 / (step / 22050)


def heard(audio, rate, notes, at):
    """The part of the notes that are heard: their key sounds while they do, and something begins there within 80 ms."""
    onset, note, speed = transcribed(audio, rate)
    hits = 0
    for each in notes:
        key, first = each.pitch - 21, at(each.start) / rate * speed
        last = at(each.start + each.length) / rate * speed
        sounding = note[max(0, int(first)) : max(int(first) + 3, int(last)), key]
        begun = onset[max(0, int(first - 0.08 * speed)) : int(first + 0.08 * speed) + 2, key]
        hits += bool(len(sounding) and len(begun) and sounding.max() > 0.3 and begun.max() > 0.2)
    return hits / len(notes)
