"""The wire without sockets: messages to frames and back, the version rule, limits. See PROTOCOL.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import msgspec

from ..assets.refusal import Corrupt, Refusal, Unknown, misread
from .messages import FromClient, FromServer, Hello, Limits, Message, Part, Submit
from .plain import is_single

VERSION = (1, 2)
LIMITS = Limits()
MAX_FRAME_BYTES = 5 << 20
"""ZMQ_MAXMSGSIZE of the server: above it libzmq disconnects silently; from a limit of ours to it there is a sentence."""


class Envelope(msgspec.Struct):
    """As much of a malformed message as an answer needs."""

    type: Any = None
    request: Any = None
    version: Any = None


def _plain(value: Any) -> Any:
    """What a description may hold beside msgpack's own types: numpy scalars, paths."""
    if isinstance(value, PurePath):
        return str(value)
    if is_single(value):
        return value.item()
    raise TypeError(f"{type(value).__name__} {value!r:.60} is no text, number, list or map")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_from_client = msgspec.msgpack.Decoder(FromClient)
_from_server = msgspec.msgpack.Decoder(FromServer)
_envelope = msgspec.msgpack.Decoder(Envelope)
CLIENT_TYPES = (
    *("hello", "submit", "received", "cancel", "describe", "stats", "ping", "bye"),
    *("open", "steer", "taken", "close"),
)
SERVER_TYPES = (
    "welcome",
    "accepted",
    "progress",
    "result",
    "failed",
    "cancelled",
    "description",
    "statistics",
    "pong",
    "opened",
    "bar",
    "steered",
    "closed",
)


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def unsendable(fields: Mapping[str, Any]) -> str:
    """The first of a recipe's fields that no message can hold, or all of it."""
    for name, value in fields.items():
        try:
            _encoder.encode(value)
        except (TypeError, ValueError, OverflowError):
            inside = unsendable(value) if isinstance(value, Mapping) else "recipe"
            return f"{name}.{inside}" if inside != "recipe" else str(name)
    return "recipe"


def encode_request(message: Message, limits: Limits = LIMITS) -> bytes:
    """A header for the server, checked against the limits it advertised."""
    header = encode(message)
    if len(header) > limits.header_bytes:
        raise Refusal(
            "too_large",
            "header",
            f"of {len(header)} bytes exceeds the server's limit of {limits.header_bytes}",
            "shorten the recipe's texts and lists",
        )
    return header


def decode_client(frames: Sequence[bytes | memoryview], limits: Limits = LIMITS) -> FromClient:
    """A message from a client; sizes are checked before a byte is decoded."""
    if not 1 <= len(frames) <= limits.frames:
        sentence = f"a message to the server has 1 to {limits.frames} frames, this has {len(frames)}"
        raise Corrupt("frames", sentence, "send a header, and behind a submit the arrays of its payload")
    if len(frames[0]) > limits.header_bytes:
        sentence = f"of {len(frames[0])} bytes exceeds the limit of {limits.header_bytes}"
        raise Refusal("too_large", "header", sentence, "shorten it; the limit is in welcome")
    message: FromClient = _decode(_from_client, frames[0], CLIENT_TYPES)
    parts = message.payload if isinstance(message, Submit) else []
    if len(frames) != 1 + len(parts):
        sentence = f"{len(parts)} frames of payload were announced, {len(frames) - 1} came"
        raise Corrupt("payload", sentence, "describe each frame in the payload of a submit")
    check_payload(parts, limits)
    for part, frame in zip(parts, frames[1:], strict=True):
        if len(frame) != part.bytes:
            raise Corrupt("payload", f"{part.bytes} bytes were announced, {len(frame)} came", "send it again")
    return message


def check_payload(parts: Sequence[Part], limits: Limits) -> None:
    """Refuses more or larger arrays behind a submit than the server takes."""
    if len(parts) >= limits.frames:
        most = limits.frames - 1
        raise Refusal("too_large", "payload", f"{len(parts)} arrays, the server takes {most}", "send fewer, or none")
    for place, part in enumerate(parts):
        if part.encoding != "raw":
            raise Unknown(f"payload[{place}].encoding", part.encoding, ["raw"])
        if part.bytes > limits.payload_bytes:
            sentence = f"an array of {part.bytes} bytes exceeds the limit of {limits.payload_bytes}"
            raise Refusal("too_large", "payload", sentence, "send a smaller one")


def decode_server(header: bytes | memoryview) -> FromServer:
    message: FromServer = _decode(_from_server, header, SERVER_TYPES)
    return message


def peek(frames: Sequence[bytes | memoryview], limits: Limits = LIMITS) -> Envelope:
    """What can be read of a message that was refused; an empty envelope where nothing can."""
    if not frames or len(frames[0]) > limits.header_bytes:
        return Envelope()
    try:
        return _envelope.decode(frames[0])
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError):
        return Envelope()


def check_version(hello: Hello) -> None:
    if hello.version[0] != VERSION[0]:
        raise version_refusal(hello.version)


def version_refusal(theirs: Sequence[int]) -> Refusal:
    ours, told = ".".join(map(str, VERSION)), ".".join(str(part)[:20] for part in theirs[:2])
    sentence = f"this side speaks protocol {ours}, the other {told}"
    return Refusal("version", "version", sentence, "install versions with the same major number")


def _decode(decoder: msgspec.msgpack.Decoder[Any], header: bytes | memoryview, types: Sequence[str]) -> Any:
    try:
        return decoder.decode(header)
    except msgspec.ValidationError as error:
        seen = peek([header])
        if isinstance(seen.type, str) and seen.type not in types:
            raise Unknown("type", seen.type[:60], types) from error
        if seen.type == "hello" and isinstance(seen.version, list) and seen.version[:1] not in ([], [VERSION[0]]):
            raise version_refusal(seen.version) from error
        if str(error).startswith("Expected `object`") and " - at " not in str(error):
            raise _no_map(error) from error
        raise misread(error, "header", "see PROTOCOL.md") from error
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        raise _no_map(error) from error


def _no_map(error: Exception) -> Corrupt:
    sentence = f"is no msgpack map ({type(error).__name__}: {str(error)[:100]})"
    return Corrupt("header", sentence, "send one msgpack map with a `type`")
