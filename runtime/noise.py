"""Addressed noise: a normal number is a pure function of (seed, domain, draw, channel, frame, y, x).

Integers come from Philox-4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011,
https://doi.org/10.1145/2063384.2063405), normals from Wichura's PPND16 ("Algorithm AS 241: the percentage points of
the normal distribution", 1988, https://doi.org/10.2307/2347330) over a logarithm of our own. Only + - * / sqrt in
float64 in a fixed order and integer operations are used, so every language and machine that rounds as IEEE 754 says
gets the same bits; a compiler that contracts a * b + c into one rounding must be told not to. `bindings/noise.json`
has test vectors.

The address is packed into Philox's counter and key like this; four neighbours along x share one counter:

    counter = [x // 4, y, channel + 65536 * frame, draw + 2**24 * domain]      x and y modulo 2**32
    key     = [seed modulo 2**32, seed // 2**32]
    word    = the output with index x modulo 4,     p = (word + 0.5) / 2**32,     normal = PPND16(p)
    even    = (word - 2147483647.5) * (2**-32 * 3.4641016151377544)               unit variance, for decoders

PPND16's q is (word - 2147483647.5) * 2**-32 and its smaller tail 0.5 - |q|; polynomials go by Horner's rule from the highest
power. The logarithm of v = m * 2**e with m in [0.7071067811865476, 1.4142135623730951) is, with s = (m - 1) / (m + 1),

    e * 0.6931471805599453 + 2 * s * (1 + s**2 / 3 + ... + s**22 / 23)            the sum by Horner in s * s, of 1 / 23 rounded
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..assets.refusal import OutOfRange, WrongType

INITIAL, STEP, VARIATION, TOKENS, BROWNIAN, GRAIN = range(6)
"""Domains keep the uses of one seed apart: initial latent, step noise, variation, token sampling, Brownian paths, decoding."""

SEEDS = 2**53
"""Seeds are whole numbers below this, the integers that JavaScript and Lua hold exactly."""

# Constants are arrays without axes: numpy takes them in half the time of its own or Python's scalars.
_WORD = np.array(0xFFFFFFFF, np.uint64)
_HALF = np.array(32, np.uint64)
_MULTIPLIERS = np.array(0xD2511F53, np.uint64), np.array(0xCD9E8D57, np.uint64)
_ZERO, _MIDDLE, _SCALE, _INSIDE = map(np.array, (0.0, 2147483647.5, 2.0**-32, 0.180625))
_LANES = 4  # words of one Philox output

Words = NDArray[np.uint64]
Reals = NDArray[np.float64]

_SCHEDULE: Words = np.array([[turn * weyl for turn in range(10)] for weyl in (0x9E3779B9, 0xBB67AE85)], np.uint64)
"""What each of the ten rounds adds to the two words of the key."""


def check_seed(seed: object, field: str = "seed") -> int:
    """The seed itself, or a refusal that names the field. Zero is a seed like any other."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise WrongType(field, seed, "a whole number")
    if not 0 <= seed < SEEDS:
        raise OutOfRange(field, int(seed), f"a whole number from 0 to {SEEDS - 1} (2^53 - 1)")
    return int(seed)


def philox(counter: Sequence[Words], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Philox-4x32-10 on arrays of 32-bit words held in uint64; the four counter words broadcast against each other."""
    c0, c1, c2, c3 = counter
    start: Words = np.array(key, np.uint64)[:, None]
    keys: Words = (_SCHEDULE + start) & _WORD
    for turn in range(10):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c2 = (p1 >> _HALF) ^ c1, (p0 >> _HALF) ^ c3
        c0 ^= keys[0, turn, ...]  # without axes, again
        c2 ^= keys[1, turn, ...]
        p0 &= _WORD
        p1 &= _WORD
        c1, c3 = p1, p0
    return c0, c1, c2, c3


def words(
    seed: int,
    domain: int,
    draws: Sequence[int],
    channels: int,
    height: int,
    width: int,
    *,
    x: int = 0,
    y: int = 0,
    frame: int = 0,
) -> Words:
    """32-bit words (draws, channels, height, width) of the window whose top left corner is (x, y)."""
    first, last = x // _LANES, (x + width - 1) // _LANES
    column, row, layer = _address(first, last, y, height, channels, frame)
    draw = _draws(domain, tuple(draws))
    lanes = np.empty((len(draws), channels, height, last + 1 - first, _LANES), np.uint64)
    for lane, word in enumerate(philox((column, row, layer, draw), (seed & 0xFFFFFFFF, seed >> 32))):
        lanes[..., lane] = word
    skipped = x - first * _LANES
    return lanes.reshape(len(draws), channels, height, -1)[..., skipped : skipped + width]


@lru_cache(maxsize=64)
def _address(first: int, last: int, y: int, height: int, channels: int, frame: int) -> tuple[Words, Words, Words]:
    """Counter words of the places, the same for every seed and draw: blocks along x, rows, channels."""
    column = np.arange(first, last + 1).astype(np.uint64) & _WORD
    row = (np.arange(y, y + height).astype(np.uint64) & _WORD)[:, None]
    layer = (np.arange(channels, dtype=np.uint64) + np.uint64(frame << 16))[:, None, None]
    return column, row, layer


@lru_cache(maxsize=64)
def _draws(domain: int, draws: tuple[int, ...]) -> Words:
    """The counter word of each draw."""
    return np.array([draw + (domain << 24) for draw in draws], np.uint64)[:, None, None, None]


def normals(
    seed: int,
    domain: int,
    draws: Sequence[int],
    channels: int,
    height: int,
    width: int,
    *,
    x: int = 0,
    y: int = 0,
    frame: int = 0,
) -> NDArray[np.float32]:
    """Unit normals, float32 (draws, channels, height, width): the float64 value rounded once.

    A larger canvas extends the field and a window at (x, y) is a part of it; nothing depends on shapes or on the order
    of calls. `draws` are the indices wanted, 0 to 2^24 - 1; channels at most 65536.
    """
    word = words(seed, domain, draws, channels, height, width, x=x, y=y, frame=frame)
    return normal_of(word).astype(np.float32)


def evens(
    seed: int, domain: int, draw: int, channels: int, height: int, width: int, *, x: int = 0, y: int = 0, frame: int = 0
) -> NDArray[np.float32]:
    """Evenly spread numbers of zero mean and unit variance, float32 (channels, height, width), addressed as `normals` are."""
    even: Reals = words(seed, domain, [draw], channels, height, width, x=x, y=y, frame=frame)[0].astype(np.float64)
    even -= 2147483647.5
    even *= _EVEN
    return even.astype(np.float32)


_EVEN = 2.0**-32 * 3.4641016151377544  # the root of 12, over the number of words


def gumbels(seed: int, domain: int, draw: int, channels: int, height: int, width: int, *, y: int = 0) -> Reals:
    """Standard Gumbel numbers, float64 (channels, height, width), from row y on: -log(-log p), addressed as all noise is.

    The largest of log chance + gumbel is a draw by these chances. For tokens: channel the stream, y the frame, x the word.
    """
    chance = (words(seed, domain, [draw], channels, height, width, y=y)[0].astype(np.float64) + 0.5) * 2.0**-32
    return -_log(-_log(chance))


Polynomial = tuple[Reals, ...]
"""Coefficients, the highest power first."""


def _polynomial(*coefficients: float) -> Polynomial:
    return tuple(np.array(each) for each in coefficients)


# AS 241, PPND16: numerators and denominators.
_CENTRE = (
    _polynomial(2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
                1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    _polynomial(5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
                5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
_SHOULDER = (
    _polynomial(7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
                3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    _polynomial(1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
                6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)  # fmt: skip


_BLOCK = 16384
"""Numbers worked on at a time: what this needs stays in the processor's second cache, and the calls are few."""


def normal_of(word: Words) -> Reals:
    """The normal quantile of p = (word + 0.5) / 2^32, float64; odd about the middle word, |value| at most 6.34."""
    q = word.reshape(-1).astype(np.float64)
    q -= _MIDDLE
    q *= _SCALE  # exact, as the division would be
    r = q * q
    np.subtract(_INSIDE, r, out=r)
    (outside,) = (r < _ZERO).nonzero()  # |q| > 0.425
    edge = q[outside]
    for at in range(0, q.size, _BLOCK):
        q[at : at + _BLOCK] *= _ratio(_CENTRE, r[at : at + _BLOCK])
    root = np.sqrt(-_log(0.5 - np.abs(edge)))  # at most 4.79 for 32-bit words: AS 241's far tail, from 5, is never met
    q[outside] = np.copysign(_ratio(_SHOULDER, root - 1.6), edge)
    return q.reshape(word.shape)


def _ratio(polynomials: tuple[Polynomial, Polynomial], r: Reals) -> Reals:
    above, below = (_horner(polynomial, r) for polynomial in polynomials)
    above /= below
    return above


def _horner(polynomial: Polynomial, r: Reals) -> Reals:
    total = r * polynomial[0]
    for coefficient in polynomial[1:-1]:
        total += coefficient
        total *= r
    total += polynomial[-1]
    return total


_LOG_TERMS = _polynomial(*(1.0 / (2 * k + 1) for k in range(11, -1, -1)))


def _log(value: Reals) -> Reals:
    """Natural logarithm by 2 atanh((m - 1) / (m + 1)) with m in [sqrt(1/2), sqrt(2)); libraries differ in last bits."""
    mantissa, exponent = np.frexp(value)
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, mantissa * 2.0, mantissa)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    return (exponent - low) * 0.6931471805599453 + 2.0 * s * _horner(_LOG_TERMS, s * s)
