"""A SoundFont made for a test: one sine, looped, as a preset. Format: SoundFont 2.04, Creative Technology, 2006."""

import struct

import numpy as np


def soundfont(pitch=69, rate=44100, bank=0, program=0, drums=False):
    """The bytes of a .sf2 file whose instrument plays a 440 Hz sine with an overtone, recorded at `pitch`."""
    period = rate / 440
    turns = 40
    length = round(period * turns)
    time = np.arange(length) / rate * (turns * rate / length / 440) * 440
    wave = 0.6 * np.sin(2 * np.pi * time) + 0.2 * np.sin(4 * np.pi * time)
    samples = np.concatenate([(wave * 30000).astype("<i2"), np.zeros(46, "<i2")]).tobytes()

    def name(text):
        return text.encode().ljust(20, b"\0")

    def chunk(tag, data):
        return tag + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

    def listed(kind, *chunks):
        return chunk(b"LIST", kind + b"".join(chunks))

    info = listed(
        b"INFO",
        chunk(b"ifil", struct.pack("<HH", 2, 1)),
        chunk(b"isng", b"EMU8000\0"),
        chunk(b"INAM", b"test\0\0"),
    )
    presets = [(name("sine"), program, bank)] + ([(name("kit"), 0, 128)] if drums else [])
    phdr = b"".join(n + struct.pack("<HHHIII", p, b, k, 0, 0, 0) for k, (n, p, b) in enumerate(presets))
    phdr += name("EOP") + struct.pack("<HHHIII", 0, 0, len(presets), 0, 0, 0)
    pbag = b"".join(struct.pack("<HH", k, 0) for k in range(len(presets) + 1))
    pgen = struct.pack("<HH", 41, 0) * len(presets) + struct.pack("<HH", 0, 0)  # 41: instrument
    inst = name("sine") + struct.pack("<H", 0) + name("EOI") + struct.pack("<H", 1)
    generators = [(38, -2000), (54, 1), (53, 0)]  # release 2^(-2000 / 1200) s, looped, sample 0
    ibag = struct.pack("<HH", 0, 0) + struct.pack("<HH", len(generators), 0)
    igen = b"".join(struct.pack("<Hh", *g) for g in generators) + struct.pack("<HH", 0, 0)
    shdr = name("sine") + struct.pack("<IIIIIBbHH", 0, length, 0, length, rate, pitch, 0, 0, 1)
    shdr += name("EOS") + struct.pack("<IIIIIBbHH", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    modulators = struct.pack("<HHhHH", 0, 0, 0, 0, 0)
    pdta = listed(
        b"pdta",
        chunk(b"phdr", phdr), chunk(b"pbag", pbag), chunk(b"pmod", modulators), chunk(b"pgen", pgen),
        chunk(b"inst", inst), chunk(b"ibag", ibag), chunk(b"imod", modulators), chunk(b"igen", igen), chunk(b"shdr", shdr),
    )  # fmt: skip
    body = b"sfbk" + info + listed(b"sdta", chunk(b"smpl", samples)) + pdta
    return b"RIFF" + struct.pack("<I", len(body)) + body
