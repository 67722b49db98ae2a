"""What the lesions of each class look like: inks, structures (network, vessels, ...) and recipes of both.

Positions are complex numbers, z = x + iy, with the lesion's centre as the origin and its mean radius as the
unit. A structure is a function of a random generator and positions that returns how much of it there is at
each position, 0 to 1. It draws equally many random numbers whatever the positions are, so the same seed shows
the same lesion in every view and at every image size.

The recipes simplify what dermatology books describe. They are a known answer for a test, not a diagnosis.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import KDTree

Structure = Callable[[np.random.Generator, np.ndarray], np.ndarray]
Ink = Callable[[np.ndarray, np.ndarray], np.ndarray]


# Inks


def dye(*absorption: float) -> Ink:
    """An ink that lets light through: each channel keeps exp(-amount * absorption)."""
    return lambda rgb, amount: rgb * np.exp(-amount[:, None] * np.float32(absorption))


def paint(*colour: float) -> Ink:
    """An ink that covers: the colour (0 to 1) replaces what is below, in the share `amount`."""
    return lambda rgb, amount: rgb + np.clip(amount[:, None], 0, 1) * (np.float32(colour) - rgb)


MELANIN = dye(0.62, 1.15, 1.60)
BLOOD = dye(0.20, 1.25, 0.95)
PURPLE = dye(1.10, 2.30, 0.90)
CLOT = dye(1.6, 2.2, 2.0)
BLUE_WHITE = paint(0.42, 0.49, 0.62)
PEARL = paint(0.90, 0.74, 0.76)
WHITE = paint(0.97, 0.93, 0.92)
IVORY = paint(0.95, 0.88, 0.70)
WAX = paint(0.72, 0.56, 0.33)


# Structures


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between; falling when `low` is the larger."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def noise(rng: np.random.Generator, z: np.ndarray, grain: float) -> np.ndarray:
    """Smooth random field of mean 0 and standard deviation about 1, with features about `grain` wide."""
    lattice = rng.standard_normal((48, 48), np.float32)
    place = np.stack([z.real, z.imag]) / grain + 24
    return 1.8 * map_coordinates(lattice, place, order=2, prefilter=False, mode="grid-wrap")


def cells(rng: np.random.Generator, z: np.ndarray, spacing: float, jitter: float) -> np.ndarray:
    """Distances to the two nearest points of a jittered honeycomb, in units of its spacing: (N, 2)."""
    steps = np.arange(-2, 2 + spacing, spacing)
    points = (steps[:, None] * 1j * np.sqrt(0.75) + steps).astype(complex)
    points[::2] += spacing / 2
    points += spacing * jitter * (rng.standard_normal(points.shape) + 1j * rng.standard_normal(points.shape))
    return KDTree(xy(points.ravel())).query(xy(z), k=2)[0] / spacing


def xy(z: np.ndarray) -> np.ndarray:
    """Complex positions (N,) as coordinates (N, 2)."""
    return np.stack([z.real, z.imag], axis=-1)


def everywhere(rng, z):
    """An even film, slightly cloudy."""
    return 0.85 + 0.15 * smoothstep(noise(rng, z, 0.25), -1, 1)


def clouds(rng, z):
    """Blotches of uneven depth."""
    return smoothstep(noise(rng, z, 0.16), -0.2, 1.4)


def one_side(rng, z):
    """One half, with a wavy border: asymmetry of colour."""
    direction = np.exp(2j * np.pi * rng.random())
    return smoothstep((z * direction).real + 0.25 * noise(rng, z, 0.25), -0.1, 0.3)


def network(rng, z):
    """The net of brown lines of a nevus, with regular meshes."""
    near, second = cells(rng, z, 0.17, 0.1).T
    return smoothstep(second - near, 0.5, 0.05)


def broken_network(rng, z):
    """The atypical net of a melanoma: wide, uneven, in places missing."""
    near, second = cells(rng, z, 0.22, 0.22).T
    return smoothstep(second - near, 0.7, 0.0) * smoothstep(noise(rng, z, 0.35), -0.8, 0.4)


def globules(rng, z):
    """Small clods of pigment."""
    return smoothstep(noise(rng, z, 0.08), 0.4, 1.4)


def openings(rng, z):
    """Sparse round plugs: comedo-like openings, or milia when white."""
    size = 0.22 + 0.05 * noise(rng, z, 0.4)
    return smoothstep(cells(rng, z, 0.3, 0.3)[:, 0], size, size - 0.1)


def gyri(rng, z):
    """The winding furrows of a cerebriform surface: level lines of a smooth field."""
    return smoothstep(np.abs(np.sin(2.0 * noise(rng, z, 0.22))), 0.7, 0.1)


def lacunae(rng, z):
    """Round lakes of blood with pale septa between them."""
    near, second = cells(rng, z, 0.34, 0.2).T
    depth = smoothstep(noise(rng, z, 0.4), -2, 0.5)
    return depth * smoothstep(second - near, 0.05, 0.35) * smoothstep(near, 0.65, 0.35)


def follicles(rng, z):
    """Openings of hair follicles with a pale halo, as the seeds of a strawberry."""
    size = 0.33 + 0.06 * noise(rng, z, 0.3)
    return smoothstep(cells(rng, z, 0.24, 0.17)[:, 0], size, size - 0.25)


def scale(rng, z):
    """Flakes of keratin."""
    return smoothstep(noise(rng, z, 0.11), 0.8, 1.6) * smoothstep(noise(rng, z, 0.4), -0.3, 0.6)


def streaks(rng, z):
    """Radial lines towards the border."""
    turns = rng.integers(14, 22) * np.angle(z) + 1.5 * noise(rng, z, 0.5)
    return smoothstep(np.cos(turns), 0.0, 1.0) * smoothstep(np.abs(z), 0.5, 0.9)


def vessels(rng, z):
    """Arborising vessels: a few stems that branch into ever finer twigs."""
    points, widths = branches(rng)
    distance, nearest = KDTree(xy(points)).query(xy(z))
    return smoothstep(distance / widths[nearest], 1.4, 0.5)


def branches(rng: np.random.Generator, stems: int = 3, steps: int = 54) -> tuple[np.ndarray, np.ndarray]:
    """Points along branching random walks that start around the cue, and the vessel's half-width at each."""
    position = 0.6 * np.exp(2j * np.pi * (np.arange(stems) / stems + 0.2 * rng.random(stems) + rng.random()))
    heading = -position / np.abs(position)
    width = np.full(stems, 0.05)
    points, widths = [], []
    for step in range(steps):
        if step % 14 == 8:
            fork = np.exp(1j * rng.uniform(0.3, 0.8, position.size))
            position, width = np.tile(position, 2), np.tile(0.75 * width, 2)
            heading = np.concatenate([heading * fork, heading / fork])
        heading = heading * np.exp(0.17j * rng.standard_normal(position.size))
        position = position + 0.02 * heading
        points.append(position)
        widths.append(width)
    return np.concatenate(points), np.concatenate(widths)


# Recipes


@dataclass(frozen=True)
class Layer:
    """So much of an ink, laid down where a structure is."""

    structure: Structure
    ink: Ink
    strength: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """What a class looks like.

    Attributes:
        melanin, blood: ranges of the ground colour.
        cue: the layers that tell the class, laid where `Picture.cue` says.
        body: layers all over the lesion.
        irregularity: of the border; 0 is an ellipse.
        softness: range of the width over which the lesion fades out inside its border.
    """

    melanin: tuple[float, float]
    blood: tuple[float, float]
    cue: tuple[Layer, ...]
    body: tuple[Layer, ...] = ()
    irregularity: float = 0.15
    softness: tuple[float, float] = (0.2, 0.5)


RECIPES = {
    # Actinic keratosis: strawberry pattern (red between pale follicles) and scale.
    "akiec": Recipe(
        melanin=(0.0, 0.4),
        blood=(0.15, 0.4),
        cue=(Layer(everywhere, BLOOD, 0.7), Layer(follicles, IVORY, 1.0), Layer(scale, WHITE, 1.0)),
        irregularity=0.25,
        softness=(0.3, 0.6),
    ),
    # Basal cell carcinoma: arborising vessels on a pearly ground.
    "bcc": Recipe(
        melanin=(0.1, 0.6),
        blood=(0.1, 0.3),
        cue=(Layer(everywhere, PEARL, 0.85), Layer(vessels, BLOOD, 1.8)),
        irregularity=0.2,
        softness=(0.2, 0.6),
    ),
    # Benign keratosis: waxy and cerebriform, with comedo-like openings and milia; a sharp border.
    "bkl": Recipe(
        melanin=(0.4, 1.0),
        blood=(0.0, 0.1),
        cue=(
            Layer(everywhere, WAX, 0.85),
            Layer(gyri, MELANIN, 0.5),
            Layer(openings, IVORY, 0.9),
            Layer(openings, CLOT, 1.3),
        ),
        irregularity=0.2,
        softness=(0.1, 0.25),
    ),
    # Dermatofibroma: a white scar-like patch in a delicate network.
    "df": Recipe(
        melanin=(0.2, 0.6),
        blood=(0.05, 0.25),
        cue=(Layer(everywhere, WHITE, 0.85),),
        body=(Layer(network, MELANIN, 0.4),),
        softness=(0.3, 0.6),
    ),
    # Melanoma: blue-white veil; several colours, broken network, streaks, irregular border.
    "mel": Recipe(
        melanin=(0.5, 1.3),
        blood=(0.0, 0.3),
        cue=(Layer(everywhere, BLUE_WHITE, 0.9), Layer(clouds, WHITE, 0.35)),
        body=(
            Layer(one_side, MELANIN, 0.8),
            Layer(broken_network, MELANIN, 0.6),
            Layer(streaks, MELANIN, 0.6),
        ),
        irregularity=0.35,
        softness=(0.1, 0.3),
    ),
    # Nevus: a regular network, with globules around it.
    "nv": Recipe(
        melanin=(0.4, 1.1),
        blood=(0.0, 0.2),
        cue=(Layer(everywhere, MELANIN, 0.4), Layer(network, MELANIN, 1.3)),
        body=(Layer(globules, MELANIN, 0.6),),
        softness=(0.2, 0.5),
    ),
    # Vascular lesion: red and purple lacunae.
    "vasc": Recipe(
        melanin=(0.0, 0.3),
        blood=(0.3, 0.8),
        cue=(Layer(everywhere, BLOOD, 0.4), Layer(lacunae, PURPLE, 1.3)),
        softness=(0.2, 0.6),
    ),
}
