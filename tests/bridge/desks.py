"""The server's desk without a socket: messages in, messages out, a clock that is set, and work elsewhere that waits until told."""

from fakes import FakeRuntime

from cadenza.bridge import messages as m
from cadenza.bridge.desk import Desk
from cadenza.bridge.protocol import VERSION, decode_server, encode

LIMITS = m.Limits()


class Prompt(FakeRuntime):
    """Makes what it is asked for before `submit` returns, on the same thread."""

    def release(self):
        works, self.works = self.works, []
        for work in works:
            self._make(work)


class Table:
    """`hold`: what runs elsewhere waits in `elsewhere` until `work` runs it."""

    def __init__(self, runtime=None, limits=LIMITS, hold=False):
        self.now, self.elsewhere, self.hold = 0.0, [], hold
        self.runtime = runtime or Prompt()
        self.desk = Desk(self.runtime, lambda event: event(), self.admit, self.admit, limits, clock=lambda: self.now)

    def admit(self, make, event):
        self.elsewhere.append((make, event))
        if not self.hold:
            self.work()

    def work(self):
        while self.elsewhere:
            make, event = self.elsewhere.pop(0)
            try:
                made = make()
            except Exception as error:
                made = error
            event(made)

    def greet(self, client="client-of-tests", route=b"first"):
        self.say(m.Hello(version=VERSION, client=client), route)
        return self.hear(route)

    def say(self, message, route=b"first", payload=()):
        self.desk.receive(route, [encode(message), *payload])

    def hear(self, route=b"first"):
        """What has been sent to a connection since it was asked for last; progress is left out."""
        session = self.desk.routes.get(route)
        frames = [answer for to, answer in self.desk.strays if to == route] if session is None else [*session.outbox]
        if session is not None:
            session.outbox.clear()
        told = [decode_server(each[0]) for each in frames]
        return [each for each in told if not isinstance(each, m.Progress)]
