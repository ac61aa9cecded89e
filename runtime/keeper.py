"""Results are kept in the store by a thread of its own: packing takes longer than a tick should, and a full disk ends nothing."""

from __future__ import annotations

import logging
import threading
from functools import partial

from ..assets.sound import Sound
from ..assets.store import Store
from ..assets.texture import Texture
from .music.piece import Piece
from .worker import Worker

WAITING = 64
"""Results that wait to be written; then whoever makes more waits for the disk."""


class Keeper:
    """`missed` counts what could not be written. Without a store nothing is kept."""

    def __init__(self, store: Store | None) -> None:
        self.missed = 0
        self._store = store
        self._room = threading.Semaphore(WAITING)
        self._writer = Worker("cadenza-store")

    def keep(self, made: Texture | Piece | Sound) -> None:
        if self._store is not None:
            self._room.acquire()
            self._writer.do(partial(self._write, self._store, made))

    def close(self) -> None:
        """When all is written."""
        self._writer.close()

    def _write(self, store: Store, made: Texture | Piece | Sound) -> None:
        try:
            store.put(made.record, dict(made.maps()))
        except Exception:  # want of memory, too
            self.missed += 1
            logging.getLogger("cadenza").exception("a result was not stored")
        finally:
            self._room.release()
