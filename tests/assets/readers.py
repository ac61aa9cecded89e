"""Readers of DDS and KTX2 from the pages of their makers, to hold our writers to. They refuse what the pages forbid."""

import struct

import numpy as np


def read_dds(data):
    """(dxgi format or "luminance", levels) of an uncompressed 2-D texture.

    [https://learn.microsoft.com/windows/win32/direct3ddds/dds-header, .../dds-header-dxt10]
    """
    magic, size, flags, height, width, pitch, depth, count = struct.unpack_from("<4s7I", data)
    assert (magic, size, depth) == (b"DDS ", 124, 0)
    assert flags & 0x1007 == 0x1007, "caps, height, width and pixel format are required"
    assert flags & 0x20000, "a mip count is required with mips"
    pixel_size, pixel_flags, four, bits, red, *other = struct.unpack_from("<II4s5I", data, 76)
    caps = struct.unpack_from("<5I", data, 108)
    assert pixel_size == 32
    assert caps[0] & 0x401008 == 0x401008, "texture, complex and mipmap"
    if pixel_flags == 0x4:
        assert four == b"DX10"
        dxgi, dimension, misc, slices, alpha = struct.unpack_from("<5I", data, 128)
        assert (dimension, misc, slices) == (3, 0, 1), "one 2-D texture"
        assert alpha in (0, 1, 2, 3, 4)
        kind, at, texel = dxgi, 148, 4
    else:
        assert (pixel_flags, bits, red, other) == (0x20000, 8, 255, [0, 0, 0])
        kind, at, texel = "luminance", 128, 1
    assert flags & 0x8, "the pitch of uncompressed texels"
    assert pitch == width * texel
    levels, at = _levels(data, at, width, height, texel, count)
    assert at == len(data)
    return kind, levels


def _levels(data, at, width, height, texel, count):
    levels = []
    for level in range(count):
        w, h = max(1, width >> level), max(1, height >> level)
        levels.append(np.frombuffer(data, np.uint8, w * h * texel, at).reshape(h, w, texel))
        at += w * h * texel
    return levels, at


def read_ktx2(data):
    """(Vulkan format, transfer "srgb" or "linear", facts, levels) of an uncompressed 2-D texture of 8-bit channels.

    [https://registry.khronos.org/KTX/specs/2.0/ktxspec.v2.html, https://registry.khronos.org/DataFormat/specs/1.3]
    """
    assert data[:12] == bytes([0xAB, 0x4B, 0x54, 0x58, 0x20, 0x32, 0x30, 0xBB, 0x0D, 0x0A, 0x1A, 0x0A])
    vulkan, type_size, width, height, depth, layers, faces, count, packed = struct.unpack_from("<9I", data, 12)
    assert (type_size, depth, layers, faces, packed) == (1, 0, 0, 1, 0)
    dfd, dfd_size, kvd, kvd_size, sgd, sgd_size = struct.unpack_from("<4I2Q", data, 48)
    assert dfd == 80 + 24 * count, "the descriptor follows the level index"
    assert kvd == dfd + dfd_size, "the facts follow the descriptor"
    assert (sgd, sgd_size) == (0, 0)
    texel = {9: 1, 37: 4, 43: 4}[vulkan]
    transfer = _descriptor(data[dfd : dfd + dfd_size], texel)
    facts = _facts(data[kvd : kvd + kvd_size])
    levels, places = [], []
    for level in range(count):
        offset, size, unpacked = struct.unpack_from("<3Q", data, 80 + 24 * level)
        w, h = max(1, width >> level), max(1, height >> level)
        assert size == unpacked == w * h * texel
        assert offset % 4 == 0, "levels lie at multiples of lcm(texel, 4)"
        levels.append(np.frombuffer(data, np.uint8, size, offset).reshape(h, w, texel))
        places.append((offset, offset + size))
    places.reverse()  # the smallest level lies first
    assert places[0][0] >= kvd + kvd_size
    assert all(end <= start < end + 4 for (_, end), (start, _) in zip(places, places[1:], strict=False))
    assert places[-1][1] == len(data)
    return vulkan, transfer, facts, levels


def _descriptor(block, texel):
    total, vendor, version, size = struct.unpack_from("<IIHH", block)
    assert (total, vendor, version, size) == (len(block), 0, 2, len(block) - 4)
    model, primaries, transfer, flags = block[12:16]
    assert (model, primaries, flags) == (1, 1, 0), "RGBSDA, BT.709, straight alpha"
    assert block[16:20] == bytes(4), "texel blocks of 1 x 1"
    assert block[20:28] == bytes([texel, 0, 0, 0, 0, 0, 0, 0])
    samples = [struct.unpack_from("<HBB4sII", block, 28 + 16 * i) for i in range((size - 24) // 16)]
    srgb = transfer == 2
    channels = (
        [0] if texel == 1 else [0, 1, 2, 0x1F if srgb else 0xF]
    )  # alpha is always linear, and says so beside sRGB
    assert samples == [(8 * i, 7, channel, bytes(4), 0, 255) for i, channel in enumerate(channels)]
    return {1: "linear", 2: "srgb"}[transfer]


def _facts(data):
    facts, at = {}, 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        key, value, end = data[at + 4 : at + 4 + length].split(b"\0")
        assert end == b""
        facts[key.decode()] = value.decode()
        at += 4 + length + -length % 4
    assert at == len(data)
    assert list(facts) == sorted(facts), "keys in order"
    return facts
