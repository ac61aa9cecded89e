"""The loop bar by bar, so that playing can begin before the whole is made; the same bytes as `render`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..refusal import OutOfRange
from .grid import sample_of
from .limiter import MARGIN
from .music import summed
from .render import Master, check_ceiling, check_loudness, gain_to, interleaved, render, sounding, staged
from .score import Score
from .signal import Wave


class Stream:
    """A score as chunks of one bar, float32 (frames, 2): concatenated they are `render(score, ...).audio`, byte for byte.

    Without `gain_db` the first chunk waits until the whole has been made once, because its loudness is not known before; with the
    gain of an earlier rendering or of a sidecar file (`gain_db`) it waits for its own bar and the end of the loop, whose tails it
    carries. A score that does not loop is made whole before its first chunk; its last chunk has what rings after its last bar.
    Arguments are those of `render`.
    """

    def __init__(
        self,
        score: Score,
        rate: int = 48000,
        *,
        loudness: float | str = -23.0,
        gain_db: float | None = None,
        ceiling_db: float = -1.0,
        only: Sequence[str] = (),
        mute: Sequence[str] = (),
        soundfont: str | None = None,
    ) -> None:
        self._stage = staged(score, rate, soundfont)
        self.score, self.rate, self.samples = score, rate, self._stage.samples
        streams = sounding(score, only, mute)
        check_ceiling(ceiling_db)
        target = check_loudness(loudness)
        self._whole = None
        if not score.loops:  # where it ends is known when all of it is there
            self._whole = render(
                score,
                rate,
                loudness=loudness,
                gain_db=gain_db,
                ceiling_db=ceiling_db,
                only=only,
                mute=mute,
                soundfont=soundfont,
            )
            gain_db = self._whole.gain_db
        if gain_db is None:
            whole = summed([self._stage.stem(stream, 0, self.samples) for stream in streams])
            gain_db = gain_to(whole, rate, target, ceiling_db)
        self.master = Master(streams, gain_db, ceiling_db)

    def __len__(self) -> int:
        """Bars of the loop."""
        return self.score.bars

    def __iter__(self) -> Iterator[Wave]:
        """The bars once, in order."""
        return (self.chunk(bar) for bar in range(len(self)))

    def span(self, bar: int) -> tuple[int, int]:
        """The first sample of a bar, and that of the next."""
        if isinstance(bar, bool) or not isinstance(bar, int) or not 0 <= bar < len(self):
            raise OutOfRange("bar", bar, f"a whole number from 0 to {len(self) - 1}")
        sixteenths = 4 * self.score.beats
        start, end = (sample_of(each * sixteenths, self.score, self.rate) for each in (bar, bar + 1))
        return start, self._whole.frames if self._whole is not None and bar == len(self) - 1 else end

    def chunk(self, bar: int) -> Wave:
        """One bar, float32 (frames, 2); any bar may be asked for, in any order."""
        start, end = self.span(bar)
        if self._whole is not None:
            return self._whole.audio[start:end]
        mix = summed(self.master.stems(self._stage, start - MARGIN, end + MARGIN))
        return interleaved(self.master.limit(mix)[0])

    def stems(self, bar: int) -> dict[str, Wave]:
        """The stems of one bar, before the limiter, each float32 (frames, 2)."""
        start, end = self.span(bar)
        if self._whole is not None:
            return {name: stem[start:end] for name, stem in self._whole.stems.items()}
        made = self.master.stems(self._stage, start, end)
        return {name: np.ascontiguousarray(stem.T) for name, stem in zip(self.master.streams, made, strict=True)}
