"""Draw one dermoscopic-looking picture: skin, a lesion, and what lies over them (hair, ruler, bubbles).

A lesion is fixed by its seed, a view of it by the seed and the number of the view. The lesion's mask and the
place of the cue that tells its class are exact: nothing of either is drawn outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from soft_attention.data.synthetic.lesions import BLOOD, MELANIN, RECIPES, Recipe, noise, smoothstep

SKIN_MELANIN = (0.02, 0.08, 0.17, 0.32, 0.60, 1.0)  # Fitzpatrick types I to VI
SKIN_SHARES = (0.16, 0.32, 0.24, 0.14, 0.09, 0.05)
PALE = (0.93, 0.82, 0.78)
CUE_RADIUS, CUE_OFFSET = 0.68, 0.25  # of the lesion's radius; their sum stays below 1


@dataclass(frozen=True)
class Picture:
    """One view of a lesion.

    Attributes:
        image: (H, W, 3) uint8.
        mask: (H, W) bool, the lesion.
        cue: (H, W) bool, where in the lesion the structure was drawn that tells its class.
        skin_tone: Fitzpatrick type, 1 to 6.
    """

    image: np.ndarray
    mask: np.ndarray
    cue: np.ndarray
    skin_tone: int


def draw_lesion(
    label: str,
    seed: int | Sequence[int],
    view: int = 0,
    size: tuple[int, int] = (150, 200),
    centre_bias: float = 0.6,
) -> Picture:
    """Draw a lesion.

    Args:
        label: a key of `RECIPES`.
        seed: fixes the lesion: outline, structures, skin tone.
        view: number of the photograph of that lesion: rotation, zoom, shift, light, hair, colour cast.
        size: height and width in pixels.
        centre_bias: 1 puts every lesion in the middle, 0 anywhere where it fits in.

    Raises:
        ValueError: for an unknown label (the message names the known ones) or a centre_bias outside 0 to 1.
    """
    if label not in RECIPES:
        raise ValueError(f"no recipe for the class {label!r}; there are {', '.join(RECIPES)}")
    if not 0 <= centre_bias <= 1:
        raise ValueError(f"centre_bias must lie between 0 and 1, not at {centre_bias}")
    lesion = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    camera = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, view)))

    tone = int(lesion.choice(6, p=SKIN_SHARES))
    rgb = skin(lesion, camera, tone, size)
    z = look(camera, size, radius=lesion.uniform(0.3, 0.42), centre_bias=centre_bias)
    level = outline(lesion, RECIPES[label], z)
    mask = level < 1
    cue = np.zeros_like(mask)
    rgb[mask], cue[mask] = paint_lesion(lesion, RECIPES[label], rgb[mask], z[mask], level[mask])
    rgb = photograph(camera, add_artefacts(camera, rgb))
    return Picture(np.round(255 * np.clip(rgb, 0, 1)).astype(np.uint8), mask, cue, tone + 1)


# The lesion


def look(camera, size, radius, centre_bias) -> np.ndarray:
    """Positions (H, W) of the pixels, as seen by a camera turned, shifted and zoomed over the lesion."""
    height, width = size
    radius = radius * camera.uniform(0.9, 1.1) * min(size)
    room = np.maximum(np.array([width, height]) / 2 - 1.2 * radius, 0)
    shift = (1 - centre_bias) * room * camera.uniform(-1, 1, 2)
    x = np.arange(width) + 0.5 - width / 2 - shift[0]
    y = np.arange(height) + 0.5 - height / 2 - shift[1]
    z = (x + 1j * y[:, None]) / radius * np.exp(2j * np.pi * camera.random())
    return z.astype(np.complex64)


def outline(lesion, recipe: Recipe, z) -> np.ndarray:
    """How far out each position is: 0 in the centre, 1 on the border."""
    order = np.arange(2, 17)
    height = np.where(order == 2, 0.1, 0.5 * recipe.irregularity / order)  # order 2 makes it oblong
    waves = height * lesion.standard_normal((2, order.size))
    angles = np.linspace(-np.pi, np.pi, 721)
    phases = np.outer(angles, order)
    radius = np.exp(np.cos(phases) @ waves[0] + np.sin(phases) @ waves[1])
    level = np.abs(z) / np.interp(np.angle(z), angles, radius).astype(np.float32)
    near = level < 1.3
    level[near] += 0.2 * recipe.irregularity * level[near] * noise(lesion, z[near], 0.12)
    return level


def paint_lesion(lesion, recipe: Recipe, rgb, z, level) -> tuple[np.ndarray, np.ndarray]:
    """Lay the ground, the body's layers and the cue's layers over the skin of the lesion's pixels (N, 3)."""
    body = smoothstep(1 - level, 0, lesion.uniform(*recipe.softness))
    patches = noise(lesion, z, 0.3)
    mottle = np.exp(0.3 * patches + 0.2 * noise(lesion, z, 0.07))
    rgb = MELANIN(rgb, body * mottle * lesion.uniform(*recipe.melanin))
    rgb = BLOOD(rgb, body * mottle * lesion.uniform(*recipe.blood))
    rgb = lay(lesion, recipe.body, rgb, z, body)
    centre = CUE_OFFSET * np.exp(2j * np.pi * lesion.random())
    distance = np.maximum(np.abs(z - centre) / CUE_RADIUS + 0.08 * patches, level)
    return lay(lesion, recipe.cue, rgb, z - centre, smoothstep(1 - distance, 0, 0.5)), distance < 1


def lay(lesion, layers, rgb, z, window):
    """Lay structures over the colours (N, 3) where the window is open, in each lesion a little different."""
    inside = window > 0
    for layer in layers:
        strength = layer.strength * lesion.uniform(0.7, 1.1) * window[inside]
        rgb[inside] = layer.ink(rgb[inside], strength * layer.structure(lesion, z[inside]))
    return rgb


# The skin and the photograph


def skin(lesion, camera, tone: int, size) -> np.ndarray:
    """Skin of a Fitzpatrick tone with mottling and fine relief: (H, W, 3), 0 to 1."""
    melanin = lesion.uniform(0.8, 1.2) * SKIN_MELANIN[tone] * np.exp(0.15 * texture(camera, size, 8))
    blood = lesion.uniform(0.02, 0.2) * np.exp(0.4 * texture(camera, size, 10))
    blood *= np.exp(0.2 * texture(camera, size, 50))
    rgb = np.tile(np.float32(PALE), (melanin.size, 1))
    rgb = BLOOD(MELANIN(rgb, melanin.ravel()), blood.ravel()).reshape(*size, 3)
    return rgb * (1 + 0.02 * texture(camera, size, 90))[..., None]


def texture(camera, size, grains: int) -> np.ndarray:
    """A smooth random field (H, W) of mean 0 with about `grains` grains along each side."""
    lattice = Image.fromarray(camera.standard_normal((grains, grains), np.float32))
    return np.asarray(lattice.resize(size[::-1], Image.Resampling.BICUBIC))


def add_artefacts(camera, rgb):
    """Hair, a ruler's marks and gel bubbles, each in some of the pictures."""
    size = rgb.shape[:2]
    hairs = camera.poisson(camera.choice([0, 2, 10], p=[0.55, 0.35, 0.1]))
    dark = strokes(size, [hair(camera, size) for _ in range(hairs)])
    rgb = rgb * (1 - camera.uniform(0.3, 0.7) * dark)[..., None]
    if camera.random() < 0.12:
        rgb = rgb * (1 - 0.8 * strokes(size, ruler(camera, size)))[..., None]
    if camera.random() < 0.12:
        rgb = rgb + bubbles(camera, size)[..., None]
    return rgb


def hair(camera, size) -> np.ndarray:
    """Points (complex pixels) along one gently bent hair."""
    along = np.linspace(-0.5, 0.5, 3 * max(size)) * camera.uniform(0.3, 1.2) * max(size)
    bent = along + 1j * camera.normal(0, 0.4) * along**2 / max(size)
    root = camera.uniform(0, size[1]) + 1j * camera.uniform(0, size[0])
    return root + bent * np.exp(2j * np.pi * camera.random())


def ruler(camera, size) -> list[np.ndarray]:
    """Points along the ticks of a scale near the top or bottom edge."""
    gap = min(size) * camera.uniform(0.04, 0.08)
    edge = camera.choice([0.03, 0.97]) * size[0]
    ticks = np.arange(camera.uniform(0, 0.5) * size[1], size[1], gap)
    inwards = 1j * np.sign(size[0] / 2 - edge) * np.linspace(0, gap, 60)
    return [x + 1j * edge + inwards * (1.6 if n % 5 == 0 else 1) for n, x in enumerate(ticks)]


def strokes(size, lines: list[np.ndarray]) -> np.ndarray:
    """Thin blurred lines through complex pixel positions: (H, W), 0 to 1."""
    canvas = np.zeros(size, np.float32)
    if lines:
        points = np.concatenate(lines)
        x, y = points.real.astype(int), points.imag.astype(int)
        seen = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
        canvas[y[seen], x[seen]] = 1
    return np.clip(1.6 * gaussian_filter(canvas, min(size) / 300), 0, 1)


def bubbles(camera, size) -> np.ndarray:
    """Bright rims of air bubbles in the contact gel."""
    light = np.zeros(size, np.float32)
    y, x = np.mgrid[: size[0], : size[1]]
    for _ in range(camera.integers(2, 7)):
        radius = min(size) * camera.uniform(0.01, 0.04)
        distance = np.hypot(x - camera.uniform(0, size[1]), y - camera.uniform(0, size[0]))
        light += 0.25 * np.exp(-(((distance - radius) / (0.006 * min(size))) ** 2))
    return light


def photograph(camera, rgb):
    """Lighting gradient, vignette, colour cast, exposure and sensor noise."""
    height, width = rgb.shape[:2]
    x = np.linspace(-1, 1, width, dtype=np.float32) * width / height
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    far = np.hypot(x, y)
    slope = camera.normal(0, 0.04, 2).astype(np.float32)
    light = 1 + slope[0] * x + slope[1] * y - camera.uniform(0, 0.06) * far**2
    if camera.random() < 0.15:  # the rim of the tube
        light *= smoothstep(far, camera.uniform(1.25, 1.5), 1.15)
    light += 0.01 * camera.standard_normal(light.shape, np.float32)
    cast = np.exp(camera.normal(0, [0.04, 0.04, 0.06])) * camera.uniform(0.88, 1.08)
    return rgb * light[..., None] * cast.astype(np.float32)
