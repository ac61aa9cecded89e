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
