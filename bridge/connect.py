"""From an address to a connection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..assets.refusal import Refusal, WrongType
from .client import Keys, SocketGame
from .game import Game


def connect(
    address: str = "tcp://127.0.0.1:5557",
    timeout: float = 3.0,
    *,
    keys: Keys | None = None,
    bundles: Sequence[Path] | Path | str | None = None,
    **engine: Any,
) -> Game:
    """A connection: tcp://HOST:PORT, ipc://PATH, or "inproc" for an engine in this process.

    timeout  seconds until a server that does not answer is a Refusal
    keys     CURVE: the server's public key, the client's public and secret key
    bundles, engine  for "inproc" only: arguments of Runtime (backend, threads, store)
    """
    if not isinstance(address, str):
        raise WrongType("address", address, "text such as tcp://127.0.0.1:5557")
    if address == "inproc":
        from ..runtime.runtime import Runtime
        from .inproc import InprocGame

        return InprocGame(Runtime(bundles, **engine))
    if bundles is not None or engine:
        named = "bundle" if bundles is not None else next(iter(engine))
        raise Refusal("contradiction", named, "is the server's to choose", "give it to cadenza serve, not to connect")
    return SocketGame(address, timeout, keys)
