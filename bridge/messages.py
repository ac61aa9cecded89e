"""Every message of the wire as a type: a tagged union for each direction. PROTOCOL.md is the contract, this its code.

Receivers ignore fields they do not know (msgspec's default); a message type they do not know is an error.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

RequestId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
"""Chosen by the client, unique within its client id: 1 to 64 characters."""
ClientId = Annotated[str, msgspec.Meta(min_length=8, max_length=64)]
"""Random, 8 to 64 characters: whoever knows it can take the conversation over, so draw 128 bits."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Message(msgspec.Struct, tag_field="type", tag=str.lower, frozen=True):
    """A header; its name in lower case is its `type`."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One payload frame."""

    name: str  # of a map; of an array that is sent to the server its digest
    encoding: str  # "raw", or the name of a file format
    dtype: str  # "uint8"
    shape: tuple[Count, ...]  # (height, width) or (height, width, channels)
    colour_space: str  # "srgb" or "linear"
    origin: str = "top-left"
    bytes: Count


class Hello(Message, frozen=True):
    version: tuple[Count, Count]  # major, minor
    client: ClientId
    agent: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Submit(Message, frozen=True):
    request: RequestId
    recipe: dict[str, Any]
    priority: int = 0
    deadline_ms: float | None = None
    late: str = "deliver"
    encoding: str = "raw"
    maps: Annotated[list[str], msgspec.Meta(max_length=64)] = []  # which ones; none named: all
    preview: bool = False
    payload: Annotated[list[Part], msgspec.Meta(max_length=64)] = []  # arrays that the recipe names by their digests


class Received(Message, frozen=True):
    """The client has the result: the server forgets it and may send one more."""

    request: RequestId


class Cancel(Message, frozen=True):
    request: RequestId


class Describe(Message, frozen=True):
    request: RequestId


class Stats(Message, frozen=True):
    request: RequestId


class Ping(Message, frozen=True):
    request: RequestId


class Open(Message, frozen=True):
    """Opens a live stream of music."""

    request: RequestId
    recipe: dict[str, Any]
    steering: list[dict[str, Any]] = []
    first: Count = 0
    ahead: Count = 2
    priority: int = 10
    stems: Annotated[list[str], msgspec.Meta(max_length=16)] = []


class Steer(Message, frozen=True):
    request: RequestId
    stream: RequestId
    changes: dict[str, Any]
    bar: Count | None = None


class Taken(Message, frozen=True):
    """The client has the stream's bars up to this one: as many more may be made."""

    request: RequestId
    bar: Count


class Close(Message, frozen=True):
    request: RequestId
    tail: bool = False
    bars: Count | None = None


class Bye(Message, frozen=True):
    """The client leaves: what it waits for is cancelled, what is kept for it is forgotten."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    header_bytes: Count = 65536
    frames: Count = 9  # of one message to the server: its header, and arrays behind a submit
    payload_bytes: Count = 4194304  # of one array
    arrays_bytes: Count = 268435456  # of all unfinished requests of all clients
    requests: Count = 256  # unfinished or unacknowledged, of one client
    results: Count = 8  # sent and not acknowledged by `received`, of one client
    clients: Count = 256
    streams: Count = 8  # open, of one client
    keep_s: Count = 300  # how long a client may be silent, and may take to ask again for a result after a reconnect
    keep_bytes: Count = 268435456  # of all kept results; the oldest is let go first


class Welcome(Message, frozen=True):
    version: tuple[Count, Count]
    server: str
    limits: Limits
    encodings: list[str]
    bundles: list[dict[str, Any]]


class Accepted(Message, frozen=True):
    request: RequestId
    id: str  # recipe id, hex
    rows: Count
    position: Count
    expected_ms: float


class Progress(Message, frozen=True):
    request: RequestId
    row: Count
    rows: Count


class Result(Message, frozen=True):
    request: RequestId
    id: str
    digest: str
    recipe: dict[str, Any]
    ignored: list[str]
    made_by: dict[str, Any]
    milliseconds: dict[str, float]
    payload: list[Part]
    sample_rate_hz: Count | msgspec.UnsetType = msgspec.UNSET  # of sounds and music
    sheet: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET  # of flipbooks: frames, rows, columns, rate


class Failed(Message, frozen=True, kw_only=True):
    request: str = ""  # empty where the message had none that could be read
    code: str
    field: str
    sentence: str
    remedy: str = ""


class Cancelled(Message, frozen=True):
    request: RequestId


class Description(Message, frozen=True):
    request: RequestId
    description: dict[str, Any]


class Statistics(Message, frozen=True):
    request: RequestId
    statistics: dict[str, Any]


class Pong(Message, frozen=True):
    request: RequestId


class Opened(Message, frozen=True):
    request: RequestId
    recipe: dict[str, Any]
    ignored: list[str]
    made_by: dict[str, Any]
    rate: Count
    lead: Count
    ahead: Count


class Bar(Message, frozen=True):
    """One bar of a stream; its samples follow."""

    request: RequestId
    bar: Count
    start: Count
    lead: Count
    recipe: dict[str, Any]
    chords: list[dict[str, Any]]
    digest: str
    under_runs: Count
    last: bool
    payload: list[Part]


class Steered(Message, frozen=True):
    request: RequestId
    stream: RequestId
    bar: Count
    changes: dict[str, Any]
    ignored: list[str]


class Closed(Message, frozen=True):
    request: RequestId
    recipe: dict[str, Any]
    digest: str
    under_runs: Count


FromClient = Hello | Submit | Received | Cancel | Describe | Stats | Ping | Open | Steer | Taken | Close | Bye
FromServer = (
    Welcome
    | Accepted
    | Progress
    | Result
    | Failed
    | Cancelled
    | Description
    | Statistics
    | Pong
    | Opened
    | Bar
    | Steered
    | Closed
)
