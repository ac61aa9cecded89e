"""Training data: labels that make sense, samples decided by their seeds, real textures read from a WAD."""

import struct

import numpy as np
import pytest

from cadenza.exporters.embedded import dataset, freedoom, measures
from cadenza.exporters.embedded.vocabulary import MATERIALS, WORDS


def test_labels_never_contradict_themselves():
    rng = np.random.default_rng(3)
    for _ in range(300):
        material, modifiers = dataset.draw_label(rng)
        assert material in MATERIALS
        for group in dataset.EXCLUSIVE:
            assert len(set(group) & set(modifiers)) <= 1, (material, modifiers)


def test_a_sample_is_decided_by_its_seed_and_materials_take_turns():
    maps, condition = dataset.sample(31, 32)
    again, _ = dataset.sample(31, 32)
    assert np.array_equal(maps, again)
    assert WORDS[int(condition.argmax())] == MATERIALS[31 % len(MATERIALS)]


def test_a_set_is_made_once_and_its_beginning_serves_a_smaller_wish(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "SIZE", 16)
    monkeypatch.setattr(dataset, "sample", small_sample)
    whole = dataset.generate(tmp_path, 5, 7)
    stamp = (tmp_path / "maps.npy").stat().st_mtime_ns
    part = dataset.generate(tmp_path, 3, 7)
    assert (tmp_path / "maps.npy").stat().st_mtime_ns == stamp
    assert len(part) == 3
    assert np.array_equal(part.maps, whole.maps[:3])
    assert len(dataset.generate(tmp_path, 3, 8)) == 3


def small_sample(seed):
    return dataset.__dict__["make"]("sand", {}, seed, 16).astype(np.uint8), np.zeros(len(WORDS), np.float32)


def test_a_wall_is_composed_of_patches_in_their_places():
    wad = freedoom.read_wad_bytes(small_wad())
    textures = freedoom.textures(wad)
    assert textures["FLAT1"].shape == (64, 64, 3)
    wall = textures["WALL"]
    assert wall.shape == (2, 4, 3)
    assert wall[:, :, 0].tolist() == [[5, 6, 5, 6], [5, 6, 5, 6]]


def small_wad():
    """A palette of greys, one flat, and a 4 x 2 wall of one 2 x 2 patch put down twice."""
    palette = bytes(np.repeat(np.arange(256, dtype=np.uint8), 3))
    columns = [bytes([0, 2, 0, value, value, 0, 255]) for value in (5, 6)]
    patch = struct.pack("<hhhh2i", 2, 2, 0, 0, 16, 23) + b"".join(columns)
    names = struct.pack("<i8s", 1, b"PATCH")
    placed = b"".join(struct.pack("<hhhhh", x, 0, 0, 0, 0) for x in (0, 2))
    wall = struct.pack("<8sihhih", b"WALL", 0, 4, 2, 0, 2) + placed
    texture = struct.pack("<ii", 1, 8) + wall
    lumps = [("PLAYPAL", palette), ("F_START", b""), ("FLAT1", bytes(4096)), ("F_END", b"")]
    lumps += [("PATCH", patch), ("PNAMES", names), ("TEXTURE1", texture)]
    data, entries, at = b"", b"", 12
    for name, lump in lumps:
        entries += struct.pack("<ii8s", at, len(lump), name.encode())
        data += lump
        at += len(lump)
    return struct.pack("<4sii", b"PWAD", len(lumps), at) + data + entries


def test_a_hard_edge_at_the_wrap_shows_in_the_seam_measure():
    ramp = np.linspace(0, 1, 64, dtype=np.float32)
    noise = np.random.default_rng(0).random((40, 6, 64, 64))
    periodic = noise + np.roll(noise, 1, 2) + np.roll(noise, 1, 3)
    assert measures.seam(periodic).max() < 1.05
    assert measures.seam(np.broadcast_to(ramp, (1, 6, 64, 64))).min() > 10
    pixels = (np.broadcast_to(ramp[:, None], (64, 64, 3)) * 255).astype(np.uint8)
    assert freedoom.seam(pixels) > 10


def test_the_kernel_distance_is_nothing_between_halves_and_grows_with_a_shift():
    features = np.random.default_rng(0).standard_normal((400, 8))
    near = measures.kernel_distance(features[:200], features[200:])
    far = [measures.kernel_distance(features[:200] + by, features[200:]) for by in (0.5, 1.0)]
    assert abs(near) < 0.1 * far[0] < far[1]


@pytest.mark.parametrize("blur", [2, 4])
def test_the_spectrum_says_how_much_a_blur_took(blur):
    noise = np.random.default_rng(0).random((4, 6, 64, 64)).astype(np.float32)
    blurred = sum(np.roll(noise, i, 3) for i in range(blur)) / blur
    lost = measures.spectrum(noise) - measures.spectrum(blurred)
    assert np.all(lost[:, -1] > 2)
    assert np.all(np.abs(lost[:, 0]) < 1.5)
