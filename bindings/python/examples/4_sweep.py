"""Turn two dials and look: samplers across, step counts down, all requests in flight together."""

from pathlib import Path

import cadenza
from cadenza.assets.preview import png, sheet

SAMPLERS, STEPS = ("lcm", "euler", "heun", "dpmpp_2m"), (1, 2, 4, 8)

with cadenza.connect() as game:
    wanted = {"kind": "texture", "prompt": "mossy stone", "seed": 7, "size": 128}
    tickets = {
        f"{sampler}, {steps} steps": game.submit({**wanted, "sampler": sampler, "steps": steps})
        for steps in STEPS
        for sampler in SAMPLERS
    }
    pictures = [(label, ticket.result().albedo) for label, ticket in tickets.items()]

Path("sweep.png").write_bytes(png(sheet(pictures, columns=len(SAMPLERS))))
