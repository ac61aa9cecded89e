"""What both ends do to a ZeroMQ socket before it meets the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import zmq

from ..assets.refusal import Refusal

SERVER_KEYS = ("curve_publickey", "curve_secretkey")
CLIENT_KEYS = ("curve_serverkey", *SERVER_KEYS)


def set_keys(socket: Any, options: Sequence[str], keys: object) -> None:
    """CURVE keys, one for each of these options; refused where they are none, without repeating them: one is secret."""
    sentence = f"are no {len(options)} CURVE keys, of 40 characters of Z85 each"
    remedy = "make pairs with zmq.curve_keypair()"
    if not isinstance(keys, tuple | list) or len(keys) != len(options):
        raise Refusal("type", "keys", sentence, remedy)
    for option, key in zip(options, keys, strict=True):
        try:
            setattr(socket, option, key)
        except (zmq.ZMQError, TypeError, ValueError, UnicodeError) as error:
            raise Refusal("type", "keys", sentence, remedy) from error


def speak_ipv6(socket: Any, address: str) -> None:
    """Only where the address is one: else names would mean other machines than before."""
    if address.startswith("tcp://["):
        socket.setsockopt(zmq.IPV6, 1)
