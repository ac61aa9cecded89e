"""One thread that makes what will be wanted soon, while the thread that will want it waits for the model."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """Something that is being made."""

    def __init__(self, make: Callable[..., T], arguments: tuple[Any, ...]) -> None:
        self._make, self._arguments = make, arguments
        self._made: Any = None
        self._error: BaseException | None = None
        self._under_way = threading.Lock()
        self._under_way.acquire()

    def run(self) -> None:
        try:
            self._made = self._make(*self._arguments)
        except BaseException as error:
            self._error = error
        self._under_way.release()

    def result(self) -> T:
        """What was made, once it is; or what making it raised."""
        with self._under_way:
            if self._error is not None:
                raise self._error
            made: T = self._made
            return made


class Ahead:
    """A thread and what it is to make, in order. Handing over takes half as long as with an executor of the library:
    between two model calls nothing is in the processor's caches, and every line run there counts."""

    def __init__(self, name: str) -> None:
        self._tasks: queue.SimpleQueue[Later[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def submit(self, make: Callable[..., T], /, *arguments: Any) -> Later[T]:
        """Begins `make(*arguments)` when what was handed over before is made."""
        later = Later(make, arguments)
        self._tasks.put(later)
        return later

    def shutdown(self) -> None:
        """Ends the thread when all is made."""
        self._tasks.put(None)
        self._thread.join()

    def _loop(self) -> None:
        while (later := self._tasks.get()) is not None:
            later.run()
