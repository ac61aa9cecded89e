"""Writes bindings/noise.json, the test vectors for addressed noise: `python tests/golden/make_noise.py`."""

import json
from itertools import product
from pathlib import Path

import numpy as np

from cadenza.runtime.noise import evens, normal_of, normals, words

ADDRESSES = [
    *(
        dict(seed=seed, domain=domain, draw=0, channel=0, frame=0, y=0, x=0)
        for seed, domain in product((0, 1, 7, 2**32, 2**53 - 1), range(6))
    ),
    *(
        dict(seed=7, domain=0, draw=0, channel=c, frame=0, y=y, x=x)
        for c, y, x in product((0, 3), (0, 15), (0, 1, 2, 3, 4, 17))
    ),
    *(
        dict(seed=7, domain=1, draw=draw, channel=1, frame=frame, y=2, x=5)
        for draw, frame in product((1, 999, 2**24 - 1), (0, 24))
    ),
    *(
        dict(seed=9, domain=0, draw=0, channel=0, frame=0, y=y, x=x)
        for y, x in ((-1, -1), (-5, 3), (2**31 - 1, -(2**31)))
    ),
]


def vector(a):
    address = {name: a[name] for name in ("x", "y", "frame")}
    shape = (a["seed"], a["domain"], [a["draw"]], a["channel"] + 1, 1, 1)
    word = words(*shape, **address)[0, -1, 0, 0]
    value = float(normal_of(np.array([word]))[0])
    rounded = float(normals(*shape, **address)[0, -1, 0, 0])
    even = float(evens(*shape[:2], a["draw"], *shape[3:], **address)[-1, 0, 0])
    return {**a, "word": int(word), "float64": value.hex(), "float32": rounded.hex(), "even32": even.hex()}


quantiles = [
    0,
    1,
    2,
    1000,
    161061273,
    322122547,
    322122548,
    2**31 - 1,
    2**31,
    2**31 + 1,
    3972844747,
    3972844748,
    2**32 - 2,
    2**32 - 1,
]
document = {
    "about": "Addressed noise of Cadenza; the rule is at the top of runtime/noise.py. Values are hexadecimal floats.",
    "normals": [vector(address) for address in ADDRESSES],
    "quantiles": [{"word": w, "float64": float(normal_of(np.array([w], dtype=np.uint64))[0]).hex()} for w in quantiles],
}
path = Path(__file__).resolve().parents[2] / "bindings" / "noise.json"
path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
print(f"{path.name}: {len(document['normals'])} normals, {len(quantiles)} quantiles")
