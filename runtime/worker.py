"""Threads beside the engine's, and what they are handed to do, in order."""

from __future__ import annotations

import logging
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
        del self._make, self._arguments  # who asks may be part of them, and would be kept by what it holds
        self._under_way.release()

    def result(self) -> T:
        """What was made, once it is; or what making it raised."""
        with self._under_way:
            if self._error is not None:
                raise self._error
            made: T = self._made
            return made


class Worker:
    """A thread and its tasks, or several that share them. Handing over takes half as long as with an executor of the library: between two model calls
    nothing is in the processor's caches, and every line run there counts. And it takes tasks until it is closed: the
    library's executors take no more once the main thread has ended, when others may still ask for textures, or serve them."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._loop, name=name, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def make(self, make: Callable[..., T], /, *arguments: Any) -> Later[T]:
        """Begins `make(*arguments)` when what was handed over before is done; whoever wants it asks for the result."""
        later = Later(make, arguments)
        self._tasks.put(later.run)
        return later

    def do(self, task: Callable[[], None]) -> None:
        """Does `task()` in its turn; what it raises is logged, as nobody asks for it."""
        self._tasks.put(task)

    def close(self, drop: bool = False, wait: bool = True) -> None:
        """Ends its threads when all is done; with `drop` when what they are doing is, and what is not begun is never done."""
        while drop and not self._tasks.empty():
            try:
                self._tasks.get_nowait()
            except queue.Empty:
                break
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _loop(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception:
                logging.getLogger("cadenza").exception(
                    "a task of the thread %s raised", threading.current_thread().name
                )
            del task  # what it knows would be kept until the next one comes
