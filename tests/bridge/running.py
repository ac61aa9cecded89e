"""Servers of tests."""

import threading
from contextlib import contextmanager

from cadenza.bridge.server import serve


@contextmanager
def running(runtime, bind="tcp://127.0.0.1:*", **terms):
    """A server on a thread; gives its address and ends it within 2 s."""
    bound, stop, ready = [], threading.Event(), threading.Event()

    def announce(address):
        bound.append(address)
        ready.set()

    thread = threading.Thread(target=serve, args=(runtime, bind), kwargs=dict(ready=announce, stop=stop, **terms))
    thread.start()
    try:
        assert ready.wait(5)
        yield bound[0]
    finally:
        stop.set()
        thread.join(2)
        assert not thread.is_alive()
