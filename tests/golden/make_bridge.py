"""Makes bridge/vectors.json, and the list of vectors at the end of bridge/PROTOCOL.md.

python tests/golden/make_bridge.py
"""

import json
from pathlib import Path

import msgspec

from cadenza.bridge import messages as m
from cadenza.bridge.protocol import encode

FOLDER = Path(__file__).resolve().parents[2] / "bridge"
MARK = "<!-- made by tests/golden/make_bridge.py from here on -->\n"
RECIPE = {"kind": "texture", "prompt": "mossy stone", "seed": 7, "size": 128}
SHA = "00112233445566778899aabbccddeeff" * 2
ALBEDO = m.Part(name="albedo", encoding="raw", dtype="uint8", shape=(128, 128, 3), colour_space="srgb", bytes=49152)
MUSIC = {"kind": "music", "prompt": "tense exploration", "seed": 7}
TURN = {"bar": 4, "changes": {"intensity": 0.9}}
AUDIO = m.Part(
    name="audio",
    encoding="raw",
    dtype="float32",
    shape=(120000, 2),
    colour_space="linear",
    origin="first",
    bytes=960000,
)
HEIGHT = m.Part(name="height", encoding="raw", dtype="uint8", shape=(128, 128), colour_space="linear", bytes=16384)
DEPTH = m.Part(name=SHA, encoding="raw", dtype="uint8", shape=(128, 128), colour_space="linear", bytes=16384)
TO_SERVER = {
    "hello": m.Hello(version=(1, 2), client="0123456789abcdef0123456789abcdef", agent="example 1.0"),
    "submit": m.Submit(request="r1", recipe=RECIPE),
    "submit, every field": m.Submit(
        request="r2",
        recipe={**RECIPE, "seed": 2**53 - 1, "guidance": 1.5, "spacing": [14.5, 1.0, 0.0]},
        priority=-1,
        deadline_ms=200.0,
        late="degrade",
        encoding="png",
        maps=["albedo", "normal_directx", "orm"],
    ),
    "submit, with a picture": m.Submit(
        request="r3", recipe={**RECIPE, "inputs": {"depth": SHA, "depth_strength": 0.5}}, payload=[DEPTH]
    ),
    "received": m.Received(request="r1"),
    "cancel": m.Cancel(request="r2"),
    "describe": m.Describe(request="r3"),
    "stats": m.Stats(request="r4"),
    "ping": m.Ping(request="r5"),
    "bye": m.Bye(),
    "open": m.Open(request="r6", recipe=MUSIC),
    "open, every field": m.Open(
        request="r6", recipe=MUSIC, steering=[TURN], first=12, ahead=3, priority=20, stems=["drums", "bass"]
    ),
    "steer": m.Steer(request="r7", stream="r6", changes={"prompt": "combat", "intensity": 0.9}),
    "steer, at a bar": m.Steer(request="r8", stream="r6", changes={"mute": ["drums"]}, bar=16),
    "taken": m.Taken(request="r6", bar=5),
    "close": m.Close(request="r6"),
    "close, every field": m.Close(request="r6", tail=True, bars=9),
}
TO_CLIENT = {
    "welcome": m.Welcome(
        version=(1, 2),
        server="cadenza 0.1.0",
        limits=m.Limits(),
        encodings=["raw", "png"],
        bundles=[{"name": "embedded", "kind": "texture", "digest": SHA}],
    ),
    "accepted": m.Accepted(request="r1", id=SHA, rows=4, position=0, expected_ms=41.5),
    "progress": m.Progress(request="r1", row=2, rows=4),
    "result": m.Result(
        request="r1",
        id=SHA,
        digest=SHA,
        recipe=RECIPE,
        ignored=["shiny"],
        made_by={"backend": "onnxruntime"},
        milliseconds={"total": 40.5},
        payload=[ALBEDO, HEIGHT],
    ),
    "failed": m.Failed(
        request="r1", code="unknown", field="sampler", sentence="'eulerr' is not known", remedy="did you mean 'euler'?"
    ),
    "cancelled": m.Cancelled(request="r2"),
    "description": m.Description(request="r3", description={"bundles": []}),
    "statistics": m.Statistics(request="r4", statistics={"done": 12, "uptime_s": 3.5}),
    "pong": m.Pong(request="r5"),
    "opened": m.Opened(
        request="r6",
        recipe=MUSIC,
        ignored=["shiny"],
        made_by={"backend": "onnxruntime"},
        rate=48000,
        lead=1552,
        ahead=2,
    ),
    "bar": m.Bar(
        request="r6",
        bar=5,
        start=600000,
        lead=1552,
        recipe=MUSIC,
        chords=[{"start": 0, "degree": 5, "pitches": [10, 2, 5]}],
        digest=SHA,
        under_runs=0,
        last=False,
        payload=[AUDIO],
    ),
    "steered": m.Steered(request="r7", stream="r6", bar=7, changes={"intensity": 0.9}, ignored=["shiny"]),
    "closed": m.Closed(
        request="r6",
        recipe={"kind": "music stream", "start": MUSIC, "steering": [TURN], "bars": 9, "tail": True},
        digest=SHA,
        under_runs=0,
    ),
}


def vectors():
    for to, messages in (("server", TO_SERVER), ("client", TO_CLIENT)):
        for name, message in messages.items():
            header = encode(message)
            yield {"name": name, "to": to, "header": msgspec.msgpack.decode(header), "hex": header.hex()}


def main():
    made = list(vectors())
    note = (
        "hex is the header frame; a decoder must read it to `header`, an encoder may order or size fields differently"
    )
    (FOLDER / "vectors.json").write_text(json.dumps({"note": note, "vectors": made}, indent=1) + "\n", encoding="utf-8")
    page = (FOLDER / "PROTOCOL.md").read_text(encoding="utf-8").partition(MARK)[0]
    blocks = []
    for vector in made:
        lines = [vector["hex"][i : i + 96] for i in range(0, len(vector["hex"]), 96)]
        blocks.append(f"{vector['name']} (to the {vector['to']})\n\n    " + "\n    ".join(lines) + "\n")
    (FOLDER / "PROTOCOL.md").write_text(page + MARK + "\n" + "\n".join(blocks), encoding="utf-8")


if __name__ == "__main__":
    main()
