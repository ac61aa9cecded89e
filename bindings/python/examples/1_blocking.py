"""Ask, wait, use. A server must run: `cadenza serve`."""

import cadenza

with cadenza.connect() as game:
    wall = game.texture("mossy stone", seed=7, size=128)
    print(wall.albedo.shape, wall.normal.shape, wall.height.shape, wall.roughness.shape)
    print(wall.recipe)
    assert game.replay(wall.recipe).digest == wall.digest  # the same bytes again
