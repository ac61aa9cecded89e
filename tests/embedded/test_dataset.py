"""Training data: labels that make sense, samples decided by their seeds, real textures read from a WAD."""

import struct

import numpy as np

from cadenza.exporters.embedded import dataset, freedoom
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


def test_a_plain_sample_has_no_modifier():
    maps, given = dataset.plain_sample(31, 32)
    assert maps.shape == (6, 32, 32)
    assert np.flatnonzero(given).tolist() == [31 % len(MATERIALS)]


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
    return (dataset.__dict__["make"]("sand", {}, seed, 16) * 255).astype(np.uint8), np.zeros(len(WORDS), np.float32)


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


def test_real_textures_are_a_share_of_each_label_and_never_missing(monkeypatch):
    real = [
        (np.full((128, 128, 3), value, np.uint8), "brick", words) for value, words in ((1, {}), (2, {"mossy": 1.0}))
    ]
    monkeypatch.setattr(dataset, "find_wad", lambda: None)
    monkeypatch.setattr(dataset, "read_wad", lambda path: None)
    monkeypatch.setattr(dataset, "labelled", lambda wad: real)
    given = [dataset.condition("brick", {})] * 18 + [dataset.condition("brick", {"mossy": 0.5})] * 2
    made = dataset.Dataset(np.zeros((20, 6, 128, 128), np.uint8), np.stack(given), np.ones(20, bool))
    joined = dataset.with_freedoom(made, 0.25)
    assert [int(joined.maps[i][0, 0, 0]) for i in range(20, len(joined))] == [1] * 6 + [2]
    assert joined.complete.tolist() == [True] * 20 + [False] * 7
    assert np.array_equal(joined.conditions[-1], dataset.condition("brick", {"mossy": 1.0}))
