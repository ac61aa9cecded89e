"""The decoder: a step with its ring of keys and values is the same function as the whole sequence at once."""

import numpy as np
import torch

from cadenza.exporters.music.dataset import STEPS, batch, gather
from cadenza.exporters.music.network import Decoder, Shape
from cadenza.runtime.engine.tokens.network import NEVER

SMALL = Shape(width=32, layers=2, heads=4, shared=2, hidden=64, window=24)


def small():
    torch.manual_seed(0)
    model = Decoder(SMALL)
    torch.nn.init.normal_(model.head.weight, std=0.4)
    return model.eval().requires_grad_(False)


def test_steps_with_the_ring_say_what_the_sequence_says_also_past_the_window():
    model, steps, rows = small(), 3 * SMALL.window, 2
    draw = torch.Generator().manual_seed(1)
    tokens = torch.stack([torch.randint(0, size, (rows, steps), generator=draw) for size in SMALL.sizes], -1)
    condition = torch.rand(rows, steps, SMALL.condition, generator=draw)
    whole = model.sequence(tokens, condition)
    keys = torch.zeros(rows, SMALL.layers, SMALL.shared, SMALL.window, SMALL.head)
    values = torch.zeros_like(keys)
    for step in range(steps):
        mask = torch.where(torch.arange(SMALL.window) < step, 0.0, float(NEVER)).expand(rows, -1)
        logits, key, value = model(
            tokens[:, step].float(), condition[:, step], torch.full((rows,), float(step)), keys, values, mask
        )
        torch.testing.assert_close(logits, whole[:, step], rtol=1e-3, atol=1e-4)
        keys[:, :, :, step % SMALL.window], values[:, :, :, step % SMALL.window] = key, value


def test_what_is_said_later_changes_nothing_that_was_said_before():
    model = small()
    draw = torch.Generator().manual_seed(2)
    tokens = torch.stack([torch.randint(0, size, (1, 40), generator=draw) for size in SMALL.sizes], -1)
    condition = torch.rand(1, 40, SMALL.condition, generator=draw)
    other = tokens.clone()
    other[:, 20:] = 0
    before, after = model.sequence(tokens, condition), model.sequence(other, condition)
    torch.testing.assert_close(before[:, :20], after[:, :20])
    assert (before[:, 20:] - after[:, 20:]).abs().max() > 0.01


def test_a_batch_enters_what_it_learned_one_step_before():
    from cadenza.exporters.music.composer import piece

    pool = gather(piece(seed) for seed in range(12))
    given = batch(pool, np.arange(12), np.random.default_rng(0), spine=0.0, drop=False)
    assert given.tokens.shape == given.target.shape == (12, STEPS, 5)
    known = given.target[:, :-1] >= 0
    assert (given.tokens[:, 1:][known] == given.target[:, :-1][known]).all()


def test_rows_of_the_spine_neither_see_nor_learn_the_others_nor_hear_intensity():
    from cadenza.exporters.music.composer import piece
    from cadenza.exporters.music.dataset import SPINE, slice_of
    from cadenza.runtime.music.tokens import SIZES

    pool = gather(piece(seed) for seed in range(12))
    given = batch(pool, np.arange(12), np.random.default_rng(0), spine=1.0)
    assert not given.condition[:, :, slice_of("intensity")].any()
    for stream in set(range(5)) - set(SPINE):
        assert (given.tokens[:, :, stream] == SIZES[stream] + 1).all()
        assert (given.target[:, :, stream] == -1).all()
    assert all((given.target[:, :, stream] >= 0).any() for stream in SPINE)
