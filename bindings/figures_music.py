"""What `cadenza bench` measures of music: pieces and live streams, through a server in a process of its own.

python -m cadenza.bindings.figures_music
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..bridge import Game, connect
from ..bridge.bars import StreamBar
from ..bridge.stream import MusicStream
from ..runtime.bundles import EMBEDDED
from .figures import median, resident_mb, server

PIECE = {"kind": "music", "prompt": "tense, 96 bpm, D minor", "bars": 8}
STREAMS = ("ambient", "exploration", "tense", "combat", "boss", "victory", "town", "dungeon")
"""Eight streams at once, each of another style."""
UNHEARD = ("exploration", "ambient", "combat", "boss", "victory", "town", "dungeon", "menu")
"""Styles whose first bar is asked for before anything else of them."""
FRESH = ("exploration", "boss", "town")
"""Styles that are the first thing a server of its own is asked for."""
WARM_S = 4.0
"""How long the eight may make the notes of their kits before they are played."""
PLAYED_S = 20.0
"""How long they are played in real time."""
AHEAD = 2
TARGETS = {
    "real_time_factor": "at least 20",
    "first_bar_ms": "at most 150",
    "first_bar_of_a_style_ms": "at most 150",
    "first_bar_of_a_server_ms": "at most 150",
    "resident_mb": "below 400",
    "streams_under_runs": "0",
}


def measure(folder: Path, threads: int, rounds: int, tick: Callable[[], Any]) -> dict[str, Any]:
    """Figures of one run; `tick` is called 2 * rounds + 4 times.

    real_time_factor  seconds of sound over seconds until a client has eight bars with guidance, model and all
    first_*           the same of a style that this server has not played yet: its notes are made first
    first_bar_ms      from asking for a stream to having its first bar, in a style whose notes were made
    first_bar_of_a_style_ms  the same of styles that this server has not played yet (their median and the slowest of them)
    steering_bars     bars from the last one taken to the first that is steered, with `ahead` 1 and 2
    streams_*         eight streams played in real time, each bar taken when the one before is heard to its end
    """
    cold = of_servers(folder, threads)
    tick()
    with server(folder, "auto", threads) as (address, process), connect(address, timeout=30) as game:
        found = pieces(game, rounds, tick)
        found |= first_bars(game, rounds, tick)
        found |= {f"steering_bars_ahead_{ahead}": steering(game, ahead) for ahead in (1, 2)}
        tick()
        found |= together(address, process.pid)
        tick()
        resident = resident_mb(process.pid)
        tick()
    return {**found, **cold, "resident_mb": resident, "targets": TARGETS}


def pieces(game: Game, rounds: int, tick: Callable[[], Any]) -> dict[str, float]:
    made = []
    for seed in range(rounds + 1):
        began = time.perf_counter()
        piece = game.submit({**PIECE, "seed": seed}, maps=["audio", "score"]).result()
        made.append((len(piece.audio) / piece.rate, time.perf_counter() - began, dict(piece.milliseconds)))
        if seed:
            tick()
    (first_sound, first_wall, _), *warm = made
    return {
        "real_time_factor": median([sound / wall for sound, wall, _ in warm]),
        "first_real_time_factor": first_sound / first_wall,
        "piece_ms": median([1e3 * wall for _, wall, _ in warm]),
        "model_ms": median([stages["model"] for *_, stages in warm]),
        "render_ms": median([stages["render"] for *_, stages in warm]),
    }


def until_heard(game: Game, prompt: str, seed: int) -> float:
    """Milliseconds from asking for a stream to having its first bar."""
    began = time.perf_counter()
    with game.stream(prompt, seed=seed, ahead=1) as music:
        assert music.next(60) is not None
        waited = time.perf_counter() - began
        music.close()
        for _ in music:
            pass
    return 1e3 * waited


def of_servers(folder: Path, threads: int) -> dict[str, float]:
    waits = []
    for style in FRESH:
        with server(folder, "auto", threads) as (address, _), connect(address, timeout=30) as game:
            waits.append(until_heard(game, style, 0))
    return {"first_bar_of_a_server_ms": median(waits), "first_bar_of_a_server_ms_max": max(waits)}


def first_bars(game: Game, rounds: int, tick: Callable[[], Any]) -> dict[str, float]:
    unheard = [until_heard(game, style, 0) for style in UNHEARD]
    waits = []
    for seed in range(1, rounds + 1):
        until_heard(game, UNHEARD[0], seed)  # the notes of this seed
        waits.append(until_heard(game, UNHEARD[0], seed))
        tick()
    return {
        "first_bar_ms": median(waits),
        "first_bar_of_a_style_ms": median(unheard),
        "first_bar_of_a_style_ms_max": max(unheard),
    }


def steering(game: Game, ahead: int) -> int:
    with game.stream("exploration, 200 bpm", seed=1, ahead=ahead) as music:
        heard = [music.next(60) for _ in range(3)][-1]
        assert heard is not None
        time.sleep(1.0)  # all that there is credit for is made
        bar: int = music.steer("combat").result(10).bar
    return bar - heard.number


def together(address: str, pid: int) -> dict[str, float]:
    """Eight clients' streams; what each has not heard in time is counted on this side too."""
    with connect(address, timeout=30) as game:
        streams = {style: game.stream(style, seed=9, ahead=AHEAD) for style in STREAMS}
        heads = {style: _Head(music) for style, music in streams.items()}
        for music in streams.values():  # the kits' notes are made, and what there is credit for
            music.next(60)
        time.sleep(WARM_S)
        before, began = _processor_seconds(pid), time.perf_counter()
        for head in heads.values():
            head.ends = began
        while (now := time.perf_counter()) < began + PLAYED_S:
            for head in heads.values():
                head.listen(now)
            time.sleep(0.002)
        used, bars = _processor_seconds(pid), sum(head.bars for head in heads.values())
        for music in streams.values():
            music.close()
    return {
        "streams": float(len(STREAMS)),
        "streams_under_runs": float(sum(head.late for head in heads.values())),
        "streams_bars": float(bars),
        "streams_processor_share": (used - before) / PLAYED_S / (os.cpu_count() or 1),
    }


class _Head:
    """A play head: plays what it has, takes the next bar when the one before is heard to its end."""

    def __init__(self, music: MusicStream) -> None:
        self.music = music
        self.ends = 0.0  # when what it has is heard
        self.bars = self.late = 0
        self.waiting = False

    def listen(self, now: float) -> None:
        if now < self.ends:
            return
        bar = self.music.poll()
        if bar is None:
            self.late += not self.waiting
            self.waiting = True
            return
        self.waiting, self.bars = False, self.bars + 1
        self.ends = max(now, self.ends if now - self.ends < 0.05 else now) + _seconds(bar, self.music)


def _seconds(bar: StreamBar, music: MusicStream) -> float:
    return len(bar.audio) / music.rate


def _processor_seconds(pid: int) -> float:
    """Of a process so far; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    print(json.dumps(measure(EMBEDDED / "music", os.cpu_count() or 1, 5, lambda: None), indent=1))
