"""The same runtime from another process: `connect` to it, `serve` it (bridge.server). PROTOCOL.md is the contract."""

from .connect import connect
from .game import Game, ReplayDiffers
from .payload import EncodedTexture
from .ticket import Ticket

__all__ = ["EncodedTexture", "Game", "ReplayDiffers", "Ticket", "connect"]
