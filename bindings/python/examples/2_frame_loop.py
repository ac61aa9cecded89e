"""A game's main loop: ask once, poll once a frame, swap the placeholder when the texture is there."""

import time

import cadenza

with cadenza.connect() as game:
    wanted = {"kind": "texture", "prompt": "mossy stone", "seed": 7, "size": 128}
    ticket = game.submit(wanted, priority=1, deadline_ms=500, late="degrade")
    frames = 0
    while not ticket.poll():  # never waits
        frames += 1  # here the game draws its placeholder
        time.sleep(1 / 60)
    wall = ticket.result()
    print(f"{frames} frames later:", wall.albedo.shape, wall.packed("orm").shape, wall.digest)
