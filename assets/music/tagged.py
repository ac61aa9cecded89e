"""Loop points in FLAC and Ogg Vorbis: the tags LOOPSTART and LOOPLENGTH, which RPG Maker, Godot and others read.

The encoder, libsndfile, has no call for such tags, so they are put into what it wrote. Ogg gives each stream a random serial number;
here it is always 1, so the same samples give the same bytes. Formats: RFC 9639 (FLAC), RFC 3533 (Ogg), Vorbis I, 5 (comments).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from ..refusal import Corrupt

VENDOR = b"cadenza"


def comments(tags: Mapping[str, object]) -> bytes:
    """A Vorbis comment block, without its framing."""
    entries = [f"{key}={value}".encode() for key, value in tags.items()]
    out = struct.pack("<I", len(VENDOR)) + VENDOR + struct.pack("<I", len(entries))
    return out + b"".join(struct.pack("<I", len(entry)) + entry for entry in entries)


def flac_with(data: bytes, tags: Mapping[str, object]) -> bytes:
    """The FLAC file with these tags instead of its own."""
    if data[:4] != b"fLaC":
        raise Corrupt("format", "the encoder's output does not begin with fLaC")
    blocks, at, last = [], 4, False
    while not last:
        kind, size = data[at] & 0x7F, int.from_bytes(data[at + 1 : at + 4], "big")
        last = bool(data[at] & 0x80)
        if kind not in (1, 4):  # neither padding nor comments
            blocks.append((kind, data[at + 4 : at + 4 + size]))
        at += 4 + size
    blocks.append((4, comments(tags)))
    out = b"fLaC"
    for number, (kind, block) in enumerate(blocks):
        out += bytes([kind | (0x80 if number == len(blocks) - 1 else 0)]) + len(block).to_bytes(3, "big") + block
    return out + data[at:]


def ogg_with(data: bytes, tags: Mapping[str, object]) -> bytes:
    """The Ogg Vorbis file with these tags instead of its own, and serial number 1."""
    pages = _pages(data)
    packets, partial, used = [], b"", 0
    for page in pages[1:]:  # the first holds the identification alone; then come comments and setup, which end a page
        used += 1
        at = 0
        for lace in page.laces:
            partial += page.body[at : at + lace]
            at += lace
            if lace < 255:
                packets.append(partial)
                partial = b""
        if len(packets) >= 2:
            break
    if len(packets) != 2 or packets[0][:7] != b"\x03vorbis":
        raise Corrupt("format", "the encoder's output does not begin with the three headers of Vorbis")
    packets[0] = b"\x03vorbis" + comments(tags) + b"\x01"
    laces, body = [], b""
    for packet in packets:
        laces += [255] * (len(packet) // 255) + [len(packet) % 255]
        body += packet
    headers, at = [], 0
    for first in range(0, len(laces), 255):
        some = laces[first : first + 255]
        headers.append(_Page(1 if first and laces[first - 1] == 255 else 0, 0, bytes(some), body[at : at + sum(some)]))
        at += sum(some)
    whole = [pages[0], *headers, *pages[1 + used :]]
    return b"".join(page.packed(number) for number, page in enumerate(whole))


class _Page:
    """A page: flags (1 continued, 2 first, 4 last), granule position, lacing values, body."""

    def __init__(self, flags: int, granule: int, laces: bytes, body: bytes) -> None:
        self.flags, self.granule, self.laces, self.body = flags, granule, laces, body

    def packed(self, number: int) -> bytes:
        head = struct.pack("<4sBBqIII", b"OggS", 0, self.flags, self.granule, 1, number, 0)
        page = bytearray(head + bytes([len(self.laces)]) + self.laces + self.body)
        page[22:26] = struct.pack("<I", _checksum(bytes(page)))
        return bytes(page)


def _pages(data: bytes) -> list[_Page]:
    pages, at = [], 0
    while at < len(data):
        magic, _, flags, granule, _, _, _, count = struct.unpack_from("<4sBBqIIIB", data, at)
        if magic != b"OggS":
            raise Corrupt("format", f"no Ogg page begins at byte {at} of the encoder's output")
        laces = data[at + 27 : at + 27 + count]
        start = at + 27 + count
        at = start + sum(laces)
        pages.append(_Page(flags, granule, laces, data[start:at]))
    return pages


_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _checksum(page: bytes) -> int:
    """Ogg's CRC is zlib's with the bits of every byte and of the result mirrored, starting from 0 and not inverted."""
    mirrored = zlib.crc32(page.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
