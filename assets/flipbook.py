"""An animated texture as a game receives it: the maps of all frames, each map one sheet, row-major from the top left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .manifest import Manifest, Sheet
from .maps import derive
from .refusal import Corrupt, Refusal
from .sidecar import beside, write
from .store import write_whole
from .texture import Texture

Bytes = NDArray[np.uint8]
FACTS = "facts"


class Flipbook(Texture):
    """A texture whose maps are sheets (rows H, columns W, ...); `frame(i)` cuts one out."""

    sheet: Sheet

    def __init__(self, sheet: Sheet, *texture: Any, **more: Any) -> None:
        super().__init__(*texture, **more)
        object.__setattr__(self, "sheet", sheet)

    @property
    def seconds(self) -> float:
        return self.sheet.frames / self.sheet.rate

    @property
    def record(self) -> dict[str, Any]:
        """What a replay needs and compares with, and how the frames lie."""
        return {**super().record, "sheet": msgspec.to_builtins(self.sheet)}

    def maps(self, names: Sequence[str] = ()) -> dict[str, Bytes]:
        """As of a texture, and the facts (JSON) for a store or a wire."""
        facts = np.frombuffer(msgspec.json.encode(self.sheet), np.uint8)
        return {**super().maps([name for name in names if name != FACTS]), FACTS: facts}

    def frame(self, number: int) -> Texture:
        """The maps of one frame, 0 the first, as a texture of their own."""
        if not 0 <= number < self.sheet.frames:
            raise IndexError(f"frame {number} of {self.sheet.frames}")
        row, column = divmod(number, self.sheet.columns)
        maps = {name: cut(sheet, self.sheet)[row, column] for name, sheet in self._maps.items()}
        return Texture(maps, self.recipe, self.id, self.ignored, self.made_by)

    def animation(self, format: str = "gif") -> bytes:
        """The colours as one file that plays again and again: "gif" (256 colours a frame) or "apng"."""
        from .animated import animate  # needs the library of image files, which a server of pixels does without

        if "albedo" not in self._maps:
            raise Refusal("missing", "albedo", "did not come with this flipbook", 'ask for it: maps=("albedo", ...)')
        frames = cut(self.albedo, self.sheet)
        return animate(frames.reshape(self.sheet.frames, *frames.shape[2:]), self.sheet.rate, format)

    def save(self, path: str | Path) -> list[Path]:
        """Writes the animation that the suffix names (.gif, .apng) and the record NAME.json. Returns the paths."""
        path = Path(path)
        data, record = self.animation(path.suffix[1:].lower()), beside(path)
        write_whole(path, data)
        return [path, write(record, [path], self.record)]

    def select(self, names: Sequence[str]) -> Texture:
        """With the maps named only, and the digest of all; without names itself."""
        if not names:
            return self
        chosen = {name: self.map(name) for name in names if name != FACTS}
        return self._with(chosen, self.milliseconds, self.digest)

    def _with(self, maps: Mapping[str, Bytes], milliseconds: Mapping[str, float], digest: str | None) -> Texture:
        told = (maps, self.recipe, self.id, self.ignored, self.made_by, milliseconds, digest)
        return Flipbook(self.sheet, *told)


def finished(decoded: NDArray[np.float32], manifest: Manifest, **told: Any) -> Flipbook:
    """The flipbook of a decoded sheet (M, rows H, columns W) in [0, 1]."""
    sheet = manifest.sheet
    assert sheet is not None  # its manifest was checked when it was read
    names = [channel.name for channel in manifest.channels]
    return Flipbook(sheet, derive_sheet(decoded, names, sheet), **told)


def cut(sheet: NDArray[Any], how: Sheet) -> NDArray[Any]:
    """(rows, columns, H, W, ...) of a sheet (rows H, columns W, ...)."""
    high, wide = sheet.shape[0] // how.rows, sheet.shape[1] // how.columns
    return sheet.reshape(how.rows, high, how.columns, wide, *sheet.shape[2:]).swapaxes(1, 2)


def laid(frames: NDArray[Any]) -> NDArray[Any]:
    """The sheet of frames (rows, columns, H, W, ...)."""
    rows, columns, high, wide = frames.shape[:4]
    return np.ascontiguousarray(frames.swapaxes(1, 2)).reshape(rows * high, columns * wide, *frames.shape[4:])


def derive_sheet(decoded: NDArray[np.float32], names: Sequence[str], how: Sheet) -> dict[str, Bytes]:
    """All maps from a decoder's sheet (M, rows H, columns W) in [0, 1]; normals and occlusion of each frame by itself."""
    frames = cut(np.moveaxis(decoded, 0, -1), how)
    made: list[dict[str, Bytes]] = [
        derive(np.ascontiguousarray(np.moveaxis(frame, -1, 0)), names) for row in frames for frame in row
    ]
    return {
        name: laid(np.stack([each[name] for each in made]).reshape(how.rows, how.columns, *made[0][name].shape))
        for name in made[0]
    }


def read(parts: Mapping[str, Bytes], told: Callable[[Mapping[str, Bytes]], Texture]) -> Flipbook:
    """The flipbook of parts that came over a wire or from a store; `told` makes the texture of its maps."""
    try:
        sheet = msgspec.json.decode(np.ascontiguousarray(parts[FACTS]).tobytes(), type=Sheet)
    except (KeyError, msgspec.DecodeError) as error:
        raise Corrupt("payload", f"is no flipbook ({error})", "submit it again") from error
    t = told({name: array for name, array in parts.items() if name != FACTS})
    digest = t.__dict__.get("digest")
    return Flipbook(sheet, t.maps(), t.recipe, t.id, t.ignored, t.made_by, t.milliseconds, digest)
