"""Real game textures: Freedoom's flats and walls, read from the WAD that the wheel `vizdoom` carries.

Freedoom is free content under a BSD licence (see NOTICE beside the weights), https://freedoom.github.io. A WAD is a
directory of lumps: PLAYPAL is the palette, flats are raw 64 x 64 indices between F_START and F_END, walls are composed by
TEXTURE1 from column patches named in PNAMES.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
SIDE = 128
TRANSPARENT = -1


@dataclass(frozen=True)
class Wad:
    """`lumps` are (name, bytes) in the order of the file; names can repeat and the last one counts."""

    lumps: tuple[tuple[str, bytes], ...]

    def __getitem__(self, name: str) -> bytes:
        return next(data for key, data in reversed(self.lumps) if key == name)

    def between(self, first: str, last: str) -> list[tuple[str, bytes]]:
        names = [name for name, _ in self.lumps]
        return list(self.lumps[names.index(first) + 1 : names.index(last)])


def find_wad() -> Path:
    """freedoom2.wad of the installed wheel; FileNotFoundError names the remedy."""
    found = find_spec("vizdoom")
    for folder in found.submodule_search_locations or () if found else ():
        if (path := Path(folder) / "freedoom2.wad").is_file():
            return path
    raise FileNotFoundError("freedoom2.wad: pip install 'cadenza[train]' brings it with the wheel vizdoom")


def read_wad(path: Path) -> Wad:
    return read_wad_bytes(path.read_bytes())


def read_wad_bytes(data: bytes) -> Wad:
    _, count, directory = struct.unpack_from("<4sii", data)
    entries = [struct.unpack_from("<ii8s", data, directory + 16 * i) for i in range(count)]
    return Wad(tuple((_name(raw), data[offset : offset + size]) for offset, size, raw in entries))


def textures(wad: Wad) -> dict[str, Pixels]:
    """Opaque flats and walls by name, sRGB (h, w, 3)."""
    palette = np.frombuffer(wad["PLAYPAL"][:768], np.uint8).reshape(256, 3)
    flats = {name: np.frombuffer(data, np.uint8) for name, data in wad.between("F_START", "F_END") if len(data) == 4096}
    made = {name: palette[indices.reshape(64, 64)] for name, indices in flats.items()}
    for name, indices in _walls(wad).items():
        if (indices != TRANSPARENT).all():
            made[name] = palette[indices]
    return made


def _walls(wad: Wad) -> dict[str, NDArray[np.int16]]:
    table, names = wad["TEXTURE1"], wad["PNAMES"]
    patches = [_name(names[4 + 8 * i : 12 + 8 * i]) for i in range(struct.unpack_from("<i", names)[0])]
    known = {name for name, _ in wad.lumps}
    made = {}
    for offset in struct.unpack_from(f"<{struct.unpack_from('<i', table)[0]}i", table, 4):
        raw, _, width, height, _, count = struct.unpack_from("<8sihhih", table, offset)
        wall = np.full((height, width), TRANSPARENT, np.int16)
        for i in range(count):
            x, y, index, _, _ = struct.unpack_from("<hhhhh", table, offset + 22 + 10 * i)
            name = patches[index].upper()
            if name in known:
                _paste(wall, wad[name], x, y)
        made[_name(raw)] = wall
    return made


def _paste(wall: NDArray[np.int16], patch: bytes, x0: int, y0: int) -> None:
    """Draws a patch: for each column a list of posts (top, length, pad, pixels, pad) that ends with 255."""
    width = struct.unpack_from("<h", patch)[0]
    for column, offset in enumerate(struct.unpack_from(f"<{width}i", patch, 8)):
        x = x0 + column
        while 0 <= x < wall.shape[1] and patch[offset] != 255:
            top, length = patch[offset], patch[offset + 1]
            post = np.frombuffer(patch, np.uint8, length, offset + 3)
            first, last = max(0, y0 + top), min(wall.shape[0], y0 + top + length)
            if last > first:
                wall[first:last, x] = post[first - y0 - top : last - y0 - top]
            offset += length + 4


def _name(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("ascii").upper()


def tile(pixels: Pixels) -> Pixels | None:
    """The texture repeated to 128 x 128 where its sides divide that, else None."""
    height, width = pixels.shape[:2]
    if SIDE % height or SIDE % width:
        return None
    return np.tile(pixels, (SIDE // height, SIDE // width, 1))


def seam(pixels: Pixels) -> float:
    """The larger of both axes' mean step across the wrap over what four fifths of the steps inside stay below."""
    grey = pixels.astype(np.float64).mean(-1)
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.roll(grey, -1, axis) - grey).mean(1 - axis)
        ratios.append(steps[-1] / (np.quantile(steps[:-1], 0.8) + 0.5))
    return float(max(ratios))


LABELS: dict[str, str] = {
    "stone": "A-CONCTE:pale ASHWALL:dark ASHWALL2:dark ASHWALL3:dark ASHWALL4:dark BASE:dark BSTONE1 CAVERN1 CAVERN4 "
    "CAVERN7 MFLR8_4:dark ROCK4:cracked ROCK5:cracked ROCKRED1:red ROCKRED2:red ROCKRED3:red RROCK09 RROCK11:pale "
    "RROCK16 STONE4:pale,cracked STONE5:cracked STONE6 STONE7:cracked TANROCK5 TANROCK8 ZIMMER5 ZIMMER7:mossy ZIMMER8 "
    "GRNMEN FLOOR5_2 FLOOR5_3 FLOOR6_2:dark MARBGRAY DOPUNK4:dark",
    "brick": "A-BRBK8:worn A-BRBRK:worn A-BRBRK2:mossy A-BRBK28:mossy AQBRIK01 AQBRIK02 AQBRIK03:pale AQF046 AQF047 "
    "AQF048:pale BIGBRIK1:dark,coarse BRICK10:dirty FLAT8 FLAT1_1 MFLR8_1:coarse STONE2:dark,coarse STONE3:dark,mossy "
    "ZZWOLF11:red ZZWOLF9:blue FLOOR4_6:fine SLIME13:mossy,fine",
    "cobble": "AROCK2:mossy AROCK3:mossy AROCK4:mossy AROCK5:mossy A-MOSROK:dark FLAT5_7:dark FLAT5_8:dark BSTONE2 "
    "RROCK12 RROCK04:dark RROCK17:dark RROCK18 GRNROCK:dark ROCK1:dark ROCK2:dark,mossy ROCK3:dark RROCK13:dark ZZWOLF1:pale "
    "MFLR8_3:pale FLAT1_2:dark STONEW1 TANROCK7 A-MOSRK2:mossy",
    "planks": "PANCASE2 PANCASE1 WOOD6 WOOD7:worn SLIME10 TANROCK3 ZZWOLF5 WOOD10 CEIL3_1 CEIL3_2",
    "bark": "BROWNHUG SLIME01",
    "metal plate": "AQF028:dark AQF029 AQF030:dark AQF069:dark AQF070:dark AQMETL01:dark AQMETL13 AQMETL28:dark "
    "AQMETL30:dark AQMETL32:dark AQMETL33:dark SHAWN2:polished SILVER1:polished FCGRATE1 FCGRATE2:dark FLAT4:dark "
    "FLAT23:polished FLOOR0_5 FLOOR0_6 FLOOR0_7 FLAT17 CEIL3_5:dark FLAT22:blue STEP3:dark METAL:rusty SUPPORT3:dark,dirty",
    "rust": "AQF007 AQRUST01 AQRUST10 AQSUPP12 AQF032",
    "concrete": "AQCONC17 AQF067 AQF027 GRAYBIG GRAYWIDE FLAT18 FLAT19 FLAT1:dark FLAT5_4 STONPOIS CEIL5_1:dark",
    "marble": "MARBLE1:green MARBLE3:green,dirty",
    "dirt": "A-MUD AQDIRT01 AQDIRT02 AQF023 FLAT10:dark ASHWALL6 FLAT5_5 MFLR8_2 SLIME09:red RROCK15 STUCCO:pale",
    "grass": "A-CAMO4 A-CAMO5 AQF022:dark GRASS1:dark GRASS2:dark RROCK20 FLOOR7_2 RROCK19:dirty",
    "moss": "A-MOULD:dark DOGRMSC MC10:dark MC11:dark MC12:dark MC13:dark MC14:dark MC15:dark ZIMMER1 ZIMMER2",
    "lava": "LAVA1 LAVA2 LAVA3 LAVA4 RROCK01:red DBRAIN1 DBRAIN2 DBRAIN3 DBRAIN4 RROCK02:yellow",
    "water": "FWATER1 FWATER2 FWATER3 FWATER4 WFALL1 WFALL2 WFALL3 WFALL4",
    "slime": "NUKAGE1 NUKAGE2 NUKAGE3 SFALL1 SFALL2 SFALL3 SFALL4",
    "tiles": "AQF075:dark AQTILE01 AQTILE02:dark AQTILE03 A-TILE:mossy FLAT9 FLAT5",
    "mud": "SLIME05:wet SLIME06:wet SLIME07:wet SLIME08:wet ZIMMER4:dark",
    "plaster": "BRICK4:cracked FLOOR0_1 FLOOR0_3",
    "tech panel": "TEKWALL1:dark TEKWALL2:green TEKWALL4 TEKWALL5:green STARG1:green STARGR1 STARBR1:red STARTAN1 "
    "CONS1_1 CONS1_5 AQPIPE04 METAL5:dark METAL6:dark",
    "fabric": "FLAT5_3:red REDWALL:red FLAT14:blue",
}
"""Names by material, hand-labelled; `NAME:modifier,modifier`. Doors, switches, signs and gore are left out."""
MOST_SEAM = 1.6


def labelled(wad: Wad) -> list[tuple[Pixels, str, dict[str, float]]]:
    """Textures (128, 128, 3) that tile, with their material and modifiers."""
    known = textures(wad)
    found = []
    for material, entries in LABELS.items():
        for entry in entries.split():
            name, _, modifiers = entry.partition(":")
            pixels = tile(known[name]) if name in known else None
            if pixels is not None and seam(pixels) <= MOST_SEAM:
                found.append((pixels, material, dict.fromkeys(modifiers.split(","), 1.0) if modifiers else {}))
    return found
