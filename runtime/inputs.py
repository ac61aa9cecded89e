"""Named inputs of a request: checked and written into its recipe, then filled for the step graph that reads them.

`assets/inputs.py` says what kinds there are. What a graph reads of each is (2, ...): for the evaluation with the prompt, and
for the one without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..assets.bundle import Bundle
from ..assets.inputs import ASKED, Anew, Encoded, Held, Kept, Number, Picture
from ..assets.manifest import FLIPBOOK, SOUND, Manifest
from ..assets.refusal import OutOfRange, Refusal, Unknown, WrongType
from . import checks
from .masks import cells_of
from .pictures import Array, Shelf, is_array, is_digest

if TYPE_CHECKING:
    from .engine.network import Network
    from .resolved import Resolved

Floats = NDArray[np.float32]
GREY = np.float32(0.5)
LONGEST = 32
"""Times its shorter side that the longer one of an encoded picture may have: it is enlarged whole before its middle is cut out."""
FORM = "an array of uint8 or float32, or the digest of one that was sent before"


def read_inputs(
    value: Any, bundle: Bundle, size: tuple[int, int], shelf: Shelf
) -> tuple[dict[str, str | float], dict[str, Array]]:
    """(the recipe's `inputs`, complete with defaults; the arrays that it names by digest). `size` is (width, height)."""
    given = {} if value is None else value
    if not isinstance(given, Mapping):
        raise WrongType("inputs", value, "a mapping of a bundle's inputs to pictures and numbers")
    manifest = bundle.manifest
    known = {name: each for name, each in manifest.inputs.items() if isinstance(each, ASKED)}
    for name in given:
        if not known:
            sentence = f"{name!r} is given, and no graph of {manifest.name!r} reads more than text"
            raise Refusal("unknown", "inputs", sentence, "leave it out, or name another bundle")
        if name not in known:
            raise Unknown(f"inputs.{name}", name, known)
    told: dict[str, str | float] = {}
    arrays: dict[str, Array] = {}
    for name in _read_with(given, bundle):
        each, path = manifest.inputs[name], f"inputs.{name}"
        if isinstance(each, Number):
            told[name] = checks.number(given.get(name, each.default), path, each.minimum, each.maximum)
        elif isinstance(each, Picture | Encoded):
            if name not in given:
                beside = ", ".join(given) or "this bundle"
                raise Refusal("missing", path, f"is missing, {beside} is of no use without it", f"give {FORM}")
            digest, array = read_array(given[name], path, shelf)
            if isinstance(each, Picture):
                check_picture(array, path, size, each.channels)
            elif not _ready(array, each):
                check_picture(array, path, array.shape[1::-1], 3, f", or float32 numbers {each.shape}")
                _check_sides(array, path)
            told[name], arrays[digest] = digest, array
    return told, arrays


def read_array(value: Any, field: str, shelf: Shelf) -> tuple[str, Array]:
    """(digest, array) of either."""
    if is_array(value):
        value = shelf.keep(value, field)
    elif not is_digest(value):
        raise WrongType(field, value, FORM)
    return value, shelf.get(value, field)


def read_image(value: Any, manifest: Manifest, size: tuple[int, int], shelf: Shelf) -> tuple[str, Array]:
    """As `read_array`, a picture that a run starts from or keeps parts of."""
    if "encode_image" not in manifest.graphs or manifest.kind in (SOUND, FLIPBOOK):
        sentence = f"is a picture, and {manifest.name!r} has no encoder that makes a latent of one"
        raise Refusal("unsupported", "image", sentence, "give a recipe, such as that of the texture it is")
    digest, array = read_array(value, "image", shelf)
    check_picture(array, "image", size, 3)
    return digest, array


def check_picture(array: Array, field: str, size: tuple[int, ...], channels: int, more: str = "") -> None:
    """Refuses what is no picture of (width, height); grey ones go where colours are read. `more` may be given, too."""
    colours = (1, channels) if channels > 1 else (1,)
    shape = size[::-1]
    if array.ndim not in (2, 3) or array.shape[:2] != shape or (*array.shape, 1)[2] not in colours:
        side = ", ".join(map(str, shape)) if len(shape) == 2 else "height, width"
        wanted = f"({side}, {channels}), or ({side}) for grey{more}"
        raise OutOfRange(field, f"an array of shape {array.shape}", wanted)
    if array.dtype == np.float32 and not (array.min() >= 0.0 and array.max() <= 1.0):
        raise OutOfRange(field, f"float32 from {array.min():g} to {array.max():g}", "0 to 1, or uint8 from 0 to 255")


def _check_sides(array: Array, field: str) -> None:
    height, width = array.shape[:2]
    if max(height, width) > LONGEST * min(height, width):
        valid = f"a longer side of at most {LONGEST} times the shorter one, since only the middle square is read"
        raise OutOfRange(field, f"{width} x {height} pixels", valid, "cut out what is to be seen")


def read_by(resolved: Resolved) -> list[str]:
    """Names of what the recipe's step graph reads beside latent, time and condition."""
    return _read_with(resolved.recipe.inputs, resolved.bundle) if resolved.bundle.manifest.inputs else []


def given(resolved: Resolved, network: Network, source: Floats | None) -> dict[str, Any]:
    """What a job is given beside its plan, noise and condition; `source` is the latent of the recipe's image, if it is one.

    image   the clean latent (C, h, w) that the run starts from or keeps: `source`, or the picture encoded
    mask    (1, h, w) cells that are made anew, where the engine has to keep the others: a network that is told does so itself
    given   what the recipe's step graph reads beside latent, time and condition: by name, float32 (2, ...)
    """
    recipe, known = resolved.recipe, resolved.bundle.manifest.inputs
    if not known and recipe.image is None and recipe.mask is None:  # nearly always
        return {"image": None, "mask": None, "given": {}}
    start = None if source is None else _laid(source, resolved)
    if isinstance(recipe.image, str):
        pixels = _planes(resolved.arrays[recipe.image], 3)
        start = network.encoded("encode_image", {"image": pixels[None]})["latent"][0]
    names = read_by(resolved)
    told = any(isinstance(known[name], Anew) for name in names)
    mask = None if told or recipe.mask is None else _cells(resolved)
    filling = {name: FILL[type(known[name])](name, known[name], resolved, network, start) for name in names}
    return {"image": start, "mask": mask, "given": filling}


def _laid(source: Floats, resolved: Resolved) -> Floats:
    """The latent of an image at the recipe's length: a sound may go on with a shorter one."""
    missing = resolved.recipe.width // resolved.bundle.manifest.latent.factor - source.shape[2]
    return source if missing == 0 else np.pad(source, ((0, 0), (0, 0), (0, missing)))


def _read_with(given: Mapping[str, Any], bundle: Bundle) -> list[str]:
    """Names of all inputs of the smallest step graph that reads the given ones; of none given the plain step's."""
    inputs = bundle.manifest.inputs
    fitting = [names for names in bundle.steps if names.issuperset(given)]
    if not given:
        fitting = fitting[:1]
    if not fitting:
        sets = "; ".join(", ".join(n for n in inputs if n in names) for names in bundle.steps if names)
        sentence = f"no graph of {bundle.manifest.name!r} reads {' and '.join(given)} together"
        raise Refusal("contradiction", "inputs", sentence, f"together are read: {sets}")
    smallest = min(fitting, key=len)
    return [name for name in inputs if name in smallest]


def _picture(name: str, given: Picture, resolved: Resolved, network: Network, start: Floats | None) -> Floats:
    array = resolved.arrays[str(resolved.recipe.inputs[name])]
    return _twice(_planes(array, given.channels))


def _encoded(name: str, given: Encoded, resolved: Resolved, network: Network, start: Floats | None) -> Floats:
    array = resolved.arrays[str(resolved.recipe.inputs[name])]
    ready = _ready(array, given)
    image = np.zeros((3, given.side, given.side), np.float32) if ready else _square(array, given.side)
    made = network.encoded(given.graph, {"image": image[None]})
    return np.stack([array if ready else made["embedding"][0], made["unconditional"][0]])


def _number(name: str, given: Number, resolved: Resolved, network: Network, start: Floats | None) -> Floats:
    return np.full(2, resolved.recipe.inputs[name], np.float32)


def _anew(name: str, given: Anew, resolved: Resolved, network: Network, start: Floats | None) -> Floats:
    return _twice(_cells(resolved))


def _kept(name: str, given: Kept, resolved: Resolved, network: Network, start: Floats | None) -> Floats:
    recipe, factor = resolved.recipe, resolved.bundle.manifest.latent.factor
    anew = _cells(resolved).repeat(factor, 1).repeat(factor, 2)
    if isinstance(recipe.image, str):
        image = _planes(resolved.arrays[recipe.image], 3)
    elif start is not None:
        image = network.maps(start)[:3]
    else:
        image = np.full((3, recipe.height, recipe.width), GREY)
    kept = np.where(anew > 0, GREY, image)
    return _twice(network.encoded("encode_image", {"image": kept[None]})["latent"][0])


def _held(name: str, given: Held, resolved: Resolved, network: Network, start: Floats | None) -> Floats:
    kept = 1 - _cells(resolved)
    latent = np.zeros((resolved.bundle.manifest.latent.channels, 1, 1), np.float32) if start is None else start
    return _twice(np.concatenate([kept, latent * kept]))


FILL: dict[type, Callable[..., Floats]] = {
    Picture: _picture,
    Encoded: _encoded,
    Number: _number,
    Anew: _anew,
    Kept: _kept,
    Held: _held,
}


def _cells(resolved: Resolved) -> Floats:
    recipe, factor = resolved.recipe, resolved.bundle.manifest.latent.factor
    height, width = recipe.height // factor, recipe.width // factor
    if recipe.mask is None:
        return np.ones((1, height, width), np.float32)
    return cells_of(recipe.mask, height, width, factor)


def _twice(array: Floats) -> Floats:
    return np.broadcast_to(array, (2, *array.shape))


def _ready(array: Array, given: Encoded) -> bool:
    """Whether these are the numbers that the encoder would make."""
    return array.dtype == np.float32 and array.shape == given.shape


def _planes(array: Array, channels: int) -> Floats:
    """(channels, H, W) in [0, 1] of a picture (H, W) or (H, W, colours); grey stands for every colour."""
    values = array.astype(np.float32) / np.float32(255) if array.dtype == np.uint8 else array
    planes = np.moveaxis(values.reshape(*array.shape[:2], -1), 2, 0)
    return np.ascontiguousarray(np.broadcast_to(planes, (channels, *array.shape[:2])))


def _square(array: Array, side: int) -> Floats:
    """(3, side, side) in [0, 1]: the shorter side brought to `side` by bicubic interpolation, the middle cut out.

    In 8 bits and with the roundings of the CLIP image processors of the library transformers, which this is equal to.
    """
    from PIL import Image

    planes = _planes(array, 3).transpose(1, 2, 0)
    pixels = array if array.dtype == np.uint8 and array.shape[2:] == (3,) else np.rint(255 * planes).astype(np.uint8)
    height, width = pixels.shape[:2]
    scaled = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    large = np.asarray(Image.fromarray(pixels).resize(scaled, Image.Resampling.BICUBIC))
    top, left = (large.shape[0] - side) // 2, (large.shape[1] - side) // 2
    return _planes(large[top : top + side, left : left + side], 3)
