"""Pictures of a texture: physically plausible light, the same every time, and relief the right way round."""

import numpy as np
import pytest

from cadenza.assets import preview, shading
from cadenza.assets.maps import derive
from cadenza.assets.shading import row, unit
from cadenza.assets.texture import Texture

NAMES = ["albedo.r", "albedo.g", "albedo.b", "height", "roughness", "metallic"]


def texture(size=32, albedo=0.5, roughness=0.7, metallic=0.0, height=0.5):
    maps = np.empty((6, size, size), np.float32)
    maps[:3], maps[3], maps[4], maps[5] = albedo, height, roughness, metallic
    return Texture(derive(maps, NAMES), {}, "0" * 64)


def domes(size=64):
    """A round hill in the middle of each tile."""
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    return texture(size, height=np.sqrt(np.maximum(0, 1 - (x**2 + y**2) * 9)).astype(np.float32))


def test_pictures_are_the_same_every_time_and_of_the_size_asked_for():
    for draw, shape in ((preview.tiled, (96, 96, 3)), (preview.maps, None)):
        pictures = [draw(texture()) for _ in range(2)]
        np.testing.assert_array_equal(*pictures)
        assert shape is None or pictures[0].shape == shape
    np.testing.assert_array_equal(*(preview.sphere(domes(), 48) for _ in range(2)))
    assert preview.sphere(domes(), 48).shape == (48, 48, 3)
    assert preview.plane(domes(), 48, 32).shape == (32, 48, 3)


def test_a_texture_need_not_be_square():
    wide = Texture({name: np.tile(a, (2, 1, 1)[: a.ndim]) for name, a in domes(32).maps().items()}, {}, "0" * 64)
    square = domes(32)
    np.testing.assert_array_equal(preview.plane(wide, 48, 32), preview.plane(square, 48, 32))
    assert preview.tiled(wide).shape == (192, 96, 3)


def test_hills_are_bright_towards_the_sun_and_dark_behind():
    """Normals turned round, or rows flipped, would show."""
    picture = preview.sphere(domes(), 128).astype(int).sum(-1)
    left, right = picture[32:96, 24:40].mean(), picture[32:96, 88:104].mean()
    top, bottom = picture[24:40, 40:88].mean(), picture[88:104, 40:88].mean()
    assert left > right
    assert top > bottom
    lookup = preview._prepare(domes(128))
    u, v = (np.float32([n]) for n in ((0.32, 0.68, 0.5, 0.5), (0.5, 0.5, 0.32, 0.68)))
    east, north, up = row(1, 0, 0), row(0, 1, 0), row(0, 0, 1)
    normal = preview._surface(lookup, u[0], v[0], east, north, up).normal
    assert normal[0, 0] < -0.05  # the left flank looks left
    assert normal[1, 0] > 0.05
    assert normal[2, 1] > 0.05  # the upper flank looks up
    assert normal[3, 1] < -0.05


def test_a_sphere_stands_before_a_backdrop():
    dark, light = (preview.sphere(texture(albedo=a), 64).astype(int) for a in (0.05, 0.95))
    np.testing.assert_array_equal(dark[:4], light[:4])
    assert (light[28:36, 28:36] > dark[28:36, 28:36] + 60).all()


def lit(
    view=(0.0, 0.0, 1.0), albedo=0.5, roughness=0.5, metallic=0.0, light=(0.0, 0.6, 0.8), shadow=1.0, normal=(0, 0, 1)
):
    one = np.ones((1, 1), np.float32)
    surface = shading.Surface(one.repeat(3, 1) * albedo, row(*normal)[None], one * roughness, one * metallic, one)
    return shading.lit(surface, unit(row(*view))[None], unit(row(*light)), one * shadow)[0]


def test_a_black_metal_is_black_and_a_white_one_mirrors_no_more_than_the_studio_holds():
    assert lit(albedo=0.0, metallic=1.0, shadow=0.0).max() < 0.01
    brightest = max(max(glow.colour) for glow in shading.STUDIO) + max(shading.SKY[1])
    for roughness in (0.0, 0.3, 0.6, 1.0):
        assert lit(albedo=1.0, metallic=1.0, roughness=roughness, shadow=0.0).max() < brightest


@pytest.mark.parametrize("roughness", [0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("facing", [0.2, 0.6, 1.0])
def test_a_surface_never_mirrors_more_than_comes(roughness, facing):
    at = [np.full((1, 1), value, np.float32) for value in (1.0, roughness, facing)]
    white = shading._reflectance(at[0].repeat(3, 1), at[1], at[2])
    assert white.min() > 0.85
    assert white.max() <= 1.02  # the fit's own error
    glass = shading._reflectance(at[0].repeat(3, 1) * 0.04, at[1], at[2])
    assert glass.max() < 0.5


@pytest.mark.parametrize("roughness", [0.3, 0.5, 0.8])
def test_the_suns_reflection_keeps_its_energy(roughness):
    """What a white mirror sends out under the sun, over the hemisphere: less than comes, and most of it when smooth."""
    rng = np.random.default_rng(0)
    view = rng.standard_normal((40_000, 3)).astype(np.float32)
    view[:, 2] = np.abs(view[:, 2])
    view = unit(view)
    flat = np.broadcast_to(row(0, 0, 1), view.shape)
    facing = np.clip(shading.dot(flat, view), 1e-3, 1)
    one = np.ones((len(view), 3), np.float32)
    light = unit(row(0.3, 0, 1))
    sent = shading._sun(flat, view, light, facing, np.full((len(view), 1), roughness**2, np.float32), one, 0 * one)
    share = (sent[:, :1] * facing).mean() * 2 / (shading.SUN[0] * light[2])  # uniform directions: 2 pi over pi
    assert share < 1.02
    assert share > (0.85 if roughness < 0.6 else 0.5)


def test_a_smoother_surface_has_a_brighter_highlight_and_a_shadow_takes_it_away():
    smooth, rough = (lit(view=(0.0, -0.6, 0.8), roughness=r, metallic=1.0) for r in (0.2, 0.8))
    assert smooth.min() > 3 * rough.max()
    assert lit(view=(0.0, -0.6, 0.8), roughness=0.2, metallic=1.0, shadow=0.0).max() < smooth.min() / 3


def test_film_keeps_base_colours_and_never_wraps():
    ramp = np.linspace(0, 50, 4001, dtype=np.float32)[:, None].repeat(3, 1)
    bytes_ = shading.film(ramp).astype(int)
    assert (np.diff(bytes_[:, 0]) >= 0).all()
    assert bytes_[0].tolist() == [0, 0, 0]
    assert bytes_[-1].min() >= 250


def test_a_sheet_shows_every_picture_in_its_place_with_its_label():
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250)]
    pictures = [(f"number {i}", np.full((8, 16, 3), colour, np.uint8)) for i, colour in enumerate(colours)]
    page = preview.sheet(pictures, columns=2, side=64)
    assert page.shape == (10 + 3 * 64, 10 + 2 * 74, 3)
    for i, colour in enumerate(colours):
        x, y = 10 + i % 2 * 74, 10 + i // 2 * 64
        assert page[y + 16, x + 32].tolist() == list(colour)
        label = page[y + 33 : y + 52, x : x + 64]
        assert label.max() > 150
    assert preview.sheet([("a label that is much too long " * 3, pictures[0][1])], 1, 64).shape[1] == 84
