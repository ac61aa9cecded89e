"""The kinds of assets that a runtime makes: how each is resolved, opened, put into the engine and finished.

The engine knows none of them; the runtime asks here. Latents of pictures are the common case, tokens the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..assets.bundle import Bundle
from ..assets.manifest import FLIPBOOK, SOUND
from ..assets.music.codes import KIND as MUSICGEN
from ..assets.refusal import Refusal, Unknown
from ..assets.sound import Sound
from ..assets.sound import check_parts as check_sound
from ..assets.texture import check_maps
from . import bundles as latent_bundles
from . import checks, sound
from . import recipe as latent_recipe
from . import resolve as latents
from .engine.network import Network
from .engine.tokens.job import TokenJob
from .engine.tokens.network import TokenNetwork
from .music import codes, piece
from .music import recipe as music_recipe
from .music import resolve as music
from .music.hall import Hall
from .music.live import PRIORITY, Event, LiveStream
from .music.offers import offers
from .music.opened import open_tokens, token_job
from .music.piece import Piece
from .music.recipe import MusicRecipe
from .music.resolve import MusicResolved, TokensResolved, manifest_of
from .music.steering import Course, StreamRecipe, Turn
from .music.steering import read_recipe as read_stream
from .music.terms import KIND, LONGEST, check_ahead
from .pictures import Shelf
from .recipe import Recipe
from .resolved import Resolved
from .work import PRIORITIES

AnyRecipe = Recipe | MusicRecipe | codes.CodesRecipe
AnyResolved = Resolved | TokensResolved
AnyNetwork = Network | TokenNetwork
MUSIC = "music"


def resolve(request: Mapping[str, Any], bundles: Mapping[str, Bundle], shelf: Shelf | None = None) -> AnyResolved:
    """The complete recipe of a request, by the kind of the bundle it names or is answered by; or a refusal.

    Arrays that it brings along are kept on the shelf, from which a recipe gets them by digest.
    """
    asked = {name: request[name] for name in ("kind", "bundle") if request.get(name) is not None}
    bundle = latents.choose_bundle(asked, bundles)
    if bundle.manifest.kind == MUSIC:
        return music.resolve(request, bundle)
    if bundle.manifest.kind == MUSICGEN:
        return codes.resolve(request, bundle)
    if bundle.manifest.kind == SOUND:
        return sound.resolve(request, bundle)
    return latents.resolve(request, bundles, shelf=shelf)


def read_recipe(fields: Mapping[str, Any]) -> AnyRecipe | StreamRecipe:
    """A complete recipe of any kind, that of a whole stream too."""
    if fields.get("kind") == KIND:
        return read_stream(fields)
    if fields.get("kind") == MUSICGEN:
        return codes.from_dict(fields)
    if fields.get("kind") == MUSIC:
        return music_recipe.from_dict(fields)
    return latent_recipe.from_dict(fields)


def open_bundle(bundle: Bundle, backend: str, threads: int, cache: Path) -> AnyNetwork:
    """A bundle's graphs on a backend, proved."""
    if bundle.manifest.kind == MUSICGEN:
        return codes.open_codes(bundle, backend, cache)
    opening = open_tokens if bundle.manifest.kind == MUSIC else latent_bundles.open_network
    return opening(bundle, backend, threads, cache)


def describe(bundle: Bundle) -> dict[str, Any]:
    """What a bundle offers."""
    more = offers(manifest_of(bundle)) if bundle.manifest.kind == MUSIC else {}
    return {**bundle.describe(), **more}


def fewer_steps(resolved: AnyResolved) -> list[int]:
    """Step counts to which a request may be degraded, longest first; music has none."""
    if isinstance(resolved, TokensResolved):
        return []
    tables = {table.steps for table in resolved.bundle.manifest.recommended}
    return sorted((steps for steps in tables if steps < resolved.recipe.steps), reverse=True)


def tokens_job(network: AnyNetwork, resolved: TokensResolved) -> TokenJob:
    if isinstance(resolved, codes.CodesResolved):
        assert isinstance(network, codes.CodesNetwork)
        return codes.codes_job(network, resolved)
    assert isinstance(network, TokenNetwork)
    assert isinstance(resolved, MusicResolved)
    return token_job(network, resolved)


def stream(
    hall: Hall,
    networks: Mapping[str, Any],
    bundles: Mapping[str, Bundle],
    request: Mapping[str, Any],
    *,
    ahead: int = 2,
    first: int = 0,
    steering: Iterable[Turn | Mapping[str, Any]] = (),
    priority: int = PRIORITY,
    on_event: Callable[[Event], None] | None = None,
) -> LiveStream:
    """Opens a live stream of a request for music; or an earlier one again by its recipe, of kind "music stream", to its end.

    ahead     bars, 1 to 8, that are made before those before them are taken
    first     the bar from which on they are delivered; those before are made and not sent
    steering  turns that are known beforehand, those of a whole stream first
    """
    if request.get("kind", MUSIC) not in (MUSIC, "music stream"):
        raise Refusal("unsupported", "kind", f"{request['kind']!r} cannot be streamed", 'leave it out, or say "music"')
    whole = read_stream(request) if request.get("kind") == "music stream" else None
    start = request if whole is None else whole.start.to_dict()
    named = {} if start.get("bundle") is None else {"bundle": start["bundle"]}
    bundle = latents.choose_bundle({"kind": MUSIC, **named}, bundles)
    course = Course(music.resolve(start, bundle), steering, () if whole is None else whole.steering)
    network = networks[bundle.digest]
    assert isinstance(network, TokenNetwork)
    terms = {
        "ahead": check_ahead(ahead),
        "first": checks.whole(first, "first", range(LONGEST)),
        "priority": checks.whole(priority, "priority", PRIORITIES),
    }
    return hall.begin(network, course, length=whole, on_event=on_event, **terms)


def play(job: TokenJob, resolved: TokensResolved) -> Piece | Sound:
    """The sound of a finished job; takes longer than a tick should."""
    if isinstance(resolved, codes.CodesResolved):
        return codes.finish(job, resolved)
    assert isinstance(resolved, MusicResolved)
    return piece.finish(job.tokens, resolved.conditions, resolved.recipe, resolved.ignored, job.network.made_by)


def check_parts(kind: object, names: Sequence[str]) -> tuple[str, ...]:
    """The parts of an asset that a request chooses, or a refusal."""
    if kind == MUSIC:
        return piece.check_parts(names)
    if kind in (SOUND, MUSICGEN):
        return check_sound(names)
    return check_maps(names)


def check_encoding(kind: object, encoding: str) -> None:
    """Sounds travel as samples; files of them are written where they are wanted."""
    if kind in (MUSIC, MUSICGEN, SOUND, FLIPBOOK) and encoding != "raw":
        raise Unknown("encoding", encoding, ("raw",))
