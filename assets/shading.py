"""Physically based light on a surface: a sun with GGX reflection, and a studio whose blur by roughness is a formula.

Directions are float32 (..., 3), unit length, x right, y up, z towards the viewer; colours are linear RGB, radiance in
units of a white card's. Sources: Walter et al., "Microfacet Models for Refraction through Rough Surfaces" (2007, GGX);
Heitz, "Understanding the Masking-Shadowing Function in Microfacet-Based BRDFs" (2014, height-correlated Smith);
Wang et al., "All-Frequency Rendering of Dynamic, Spatially-Varying Reflectance" (2009, spherical Gaussians);
Karis, "Physically Based Shading on Mobile" (2014, the fitted split sum); Fdez-Aguera, "A Multiple-Scattering Microfacet
Model for Real-Time Image-Based Lighting" (2019); Lagarde and de Rousiers, "Moving Frostbite to PBR" (2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
"""float32, but for what a type checker cannot see."""


@dataclass(frozen=True)
class Glow:
    """A lamp as a spherical Gaussian: colour * exp(sharpness * (cos(angle to `towards`) - 1))."""

    towards: tuple[float, float, float]
    sharpness: float
    colour: tuple[float, float, float]


SUN = (1.9, 1.8, 1.62)
"""Irradiance of the only light that casts shadows, in units of pi."""
SUN_WIDTH = 0.06
"""Added to the surface's alpha: the sun's disc seen as part of the lobe, so that mirrors show one."""
STUDIO = (
    Glow((-0.45, 0.55, 0.70), 14.0, (2.6, 2.5, 2.35)),  # softbox, upper left
    Glow((0.85, 0.25, -0.15), 22.0, (2.2, 2.7, 3.4)),  # cool rim from the right
    Glow((-0.80, 0.05, -0.45), 26.0, (1.5, 1.2, 0.9)),  # warm rim from the left
    Glow((0.15, 0.95, 0.10), 6.0, (0.75, 0.80, 0.90)),  # ceiling
    Glow((-0.15, 0.60, -0.80), 18.0, (2.4, 2.4, 2.5)),  # window, behind
)
SKY = ((0.30, 0.34, 0.40), (0.62, 0.62, 0.60), (0.13, 0.115, 0.10))
"""Radiance at the zenith, at the horizon and below it."""
DIELECTRIC = 0.04
"""Reflectance at normal incidence of what is no metal."""
EXPOSURE = 0.8
"""Makes a white card under sun and sky just white."""
COSINE_LOBE = 2.133
"""Sharpness of the spherical Gaussian nearest to a cosine lobe."""


@dataclass(frozen=True)
class Surface:
    """What is at each point seen: colours (..., 3), numbers (..., 1); all float32, albedo linear."""

    albedo: Field
    normal: Field
    roughness: Field
    metallic: Field
    occlusion: Field


def lit(surface: Surface, view: Field, light: Field, shadow: Field) -> Field:
    """Radiance towards `view` (from the surface to the eye); `light` (3,) points to the sun, `shadow` (..., 1) is 1 where it reaches."""
    normal = surface.normal
    facing = np.clip(dot(normal, view), 1e-3, 1)
    alpha = np.maximum(surface.roughness, 0.06) ** 2
    base = DIELECTRIC + (surface.albedo - DIELECTRIC) * surface.metallic
    body = surface.albedo * (1 - surface.metallic)
    sun = _sun(normal, view, light, facing, alpha, base, body)
    mirrored = 2 * dot(normal, view) * normal - view
    reflected = _reflectance(base, surface.roughness, facing)
    seen = np.clip((facing + surface.occlusion) ** np.exp2(-16 * alpha - 1) - 1 + surface.occlusion, 0, 1)
    ambient = (1 - reflected) * body * studio(normal, np.full_like(alpha, COSINE_LOBE)) * surface.occlusion
    ambient += reflected * studio(mirrored, 2 / alpha**2 / (4 * facing)) * seen
    out: Field = sun * shadow + ambient
    return out


def studio(towards: Field, sharpness: Field) -> Field:
    """Mean radiance of the studio under a lobe of that sharpness (..., 1) around a direction."""
    spread = np.sqrt(0.02 + 0.8 / sharpness)
    zenith, horizon, floor = (row(*colour) for colour in SKY)
    up = towards[..., 1:2]
    above = 1 / (1 + np.exp(-2.5 * up / spread))
    light = floor + (horizon + (zenith - horizon) * np.clip(up, 0, 1) ** 0.6 - floor) * above
    for glow in STUDIO:
        both = glow.sharpness * sharpness / (glow.sharpness + sharpness)
        share = sharpness / (glow.sharpness + sharpness)
        light = light + row(*glow.colour) * share * np.exp(both * (towards @ unit(row(*glow.towards)) - 1)[..., None])
    out: Field = light.astype(np.float32)
    return out


def _sun(normal: Field, view: Field, light: Field, facing: Field, alpha: Field, base: Field, body: Field) -> Field:
    """GGX and Lambert under SUN."""
    half = unit(view + light)
    incidence = np.clip((normal @ light)[..., None], 0, 1)
    wide = np.clip(alpha + SUN_WIDTH, 0, 1) ** 2
    peak = np.clip(dot(normal, half), 0, 1) ** 2 * (wide - 1) + 1
    distribution = wide / (np.pi * peak**2)
    masking = incidence * np.sqrt(facing**2 * (1 - wide) + wide) + facing * np.sqrt(incidence**2 * (1 - wide) + wide)
    fresnel = base + (1 - base) * (1 - np.clip(dot(view, half), 0, 1)) ** 5
    mirror = distribution * 0.5 / np.maximum(masking, 1e-4) * fresnel
    radiance: Field = row(*SUN) * incidence * (mirror * np.pi + (1 - fresnel) * body)
    return radiance


def _reflectance(base: Field, roughness: Field, facing: Field) -> Field:
    """Share of an even surrounding that a surface mirrors: the split sum's second factor with multiple scattering."""
    r = roughness[..., None] * row(-1, -0.0275, -0.572, 0.022) + row(1, 0.0425, 1.04, -0.04)
    first = np.minimum(r[..., 0] ** 2, np.exp2(-9.28 * facing)) * r[..., 0] + r[..., 1]
    scale, offset = -1.04 * first + r[..., 2], 1.04 * first + r[..., 3]
    once = base * scale + offset
    out: Field = once * (1 + base * (1 / np.maximum(scale + offset, 0.2) - 1))
    return out


def film(radiance: Field) -> NDArray[np.uint8]:
    """sRGB bytes by the Khronos PBR Neutral tone mapper (2024): true to base colours, highlights roll off to white."""
    radiance = radiance * np.float32(EXPOSURE)
    low = radiance.min(-1, keepdims=True)
    colour = radiance - np.where(low < 0.08, low - 6.25 * low**2, 0.04)
    start, desaturation = 0.8 - 0.04, 0.15
    peak = np.maximum(colour.max(-1, keepdims=True), start)
    rolled = 1 - (1 - start) ** 2 / (peak + 1 - 2 * start)
    grey = 1 - 1 / (desaturation * (peak - rolled) + 1)
    bright = colour * (rolled / peak) * (1 - grey) + rolled * grey
    return to_srgb(np.where(peak > start, bright, colour))


def to_srgb(linear: Field) -> NDArray[np.uint8]:
    clipped = np.clip(linear, 0, 1)
    encoded = np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
    out: NDArray[np.uint8] = (encoded * 255 + 0.5).astype(np.uint8)
    return out


def dot(a: Field, b: Field) -> Field:
    out: Field = (a * b).sum(-1, keepdims=True)
    return out


def length(vector: Field) -> Field:
    out: Field = np.sqrt(dot(vector, vector))
    return out


def unit(vector: Field) -> Field:
    out: Field = vector / length(vector)
    return out


def row(*numbers: float) -> Field:
    return np.array(numbers, np.float32)
