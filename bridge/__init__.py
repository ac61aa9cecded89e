"""The same runtime from another process: `connect` to it, `serve` it (bridge.server). PROTOCOL.md is the contract."""

from .connect import connect
from .game import Game, ReplayDiffers, Ticket
from .payload import EncodedTexture

__all__ = ["EncodedTexture", "Game", "ReplayDiffers", "Ticket", "connect"]
