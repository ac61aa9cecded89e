"""Mip chains: light is kept, normals stay unit, every size halves to one texel."""

import numpy as np
import pytest

from cadenza.assets.flipbook import laid
from cadenza.assets.mips import chain, to_linear

RNG = np.random.default_rng(1)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 16), (80, 48), (5, 3), (1, 7)])
def test_each_level_is_half_the_last_rounded_down_to_one_texel(height, width):
    shapes = [level.shape for level in chain("height", np.zeros((height, width), np.uint8))]
    count = max(height, width).bit_length()
    assert shapes == [(max(1, height >> i), max(1, width >> i)) for i in range(count)]


@pytest.mark.parametrize("size", [(64, 32), (80, 48), (5, 7)])
def test_colour_keeps_its_light_and_data_its_mean_at_every_level(size):
    """But for rounding; a mean over bytes instead of light would be 0.1 off."""
    colour = RNG.choice(np.array([0, 40, 255], np.uint8), (*size, 3))
    for level in chain("albedo", colour):
        assert np.abs(to_linear(level).mean((0, 1)) - to_linear(colour).mean((0, 1))).max() < 0.01
    data = RNG.integers(0, 256, size, dtype=np.uint8)
    for level in chain("roughness", data):
        assert abs(level.mean() - data.mean()) < 1.0


def test_a_board_of_black_and_white_is_half_the_light_not_half_the_byte():
    board = np.zeros((2, 2, 3), np.uint8)
    board[0, 0] = board[1, 1] = 255
    assert chain("albedo", board)[1][0, 0, 0] == 188
    assert chain("roughness", board[..., 0])[1][0, 0] == 128
    assert chain("orm", board)[1][0, 0].tolist() == [128] * 3


@pytest.mark.parametrize("name", ["normal", "normal_directx"])
def test_normals_are_unit_at_every_level(name):
    vectors = RNG.standard_normal((48, 80, 3))
    vectors[..., 2] = np.abs(vectors[..., 2]) + 0.2
    unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    for level in chain(name, np.round((unit + 1) * 127.5).astype(np.uint8)):
        assert np.abs(np.linalg.norm(level / 127.5 - 1, axis=-1) - 1).max() < 0.015


def test_an_odd_side_weighs_every_row_alike():
    """A moving impulse adds the same to the next level wherever it stands."""
    for n in (3, 5, 7, 9):
        sums = []
        for row in range(n):
            image = np.zeros((n, 1), np.uint8)
            image[row] = 255
            sums.append(chain("height", image)[1].astype(int).sum())
        assert max(sums) - min(sums) <= 2, (n, sums)


@pytest.mark.parametrize(("frame", "rows", "columns", "smallest"), [(64, 2, 4, 1), (48, 3, 3, 3), (16, 1, 4, 1)])
def test_mips_of_a_sheet_end_before_they_mix_two_frames(frame, rows, columns, smallest):
    """Each level of the sheet is the sheet of that level of its frames."""
    frames = RNG.integers(0, 256, (rows, columns, frame, frame, 3), dtype=np.uint8)
    sheet = laid(frames)
    for name in ("albedo", "normal", "orm"):
        levels = chain(name, sheet, (rows, columns))
        assert levels[-1].shape[:2] == (rows * smallest, columns * smallest)
        alone = [[chain(name, each) for each in row] for row in frames]
        for number, level in enumerate(levels):
            np.testing.assert_array_equal(level, laid(np.array([[each[number] for each in row] for row in alone])))
    assert chain("albedo", sheet)[-1].shape[:2] == (1, 1), "what is no sheet has them all"
