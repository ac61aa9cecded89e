"""Cadenza: a real-time content-generation runtime for games.

import cadenza
game = cadenza.connect("tcp://127.0.0.1:5557")
texture = game.texture("mossy stone", seed=7, size=128)
"""

from .bridge import connect

__all__ = ["connect"]

__version__ = "0.1.0"
