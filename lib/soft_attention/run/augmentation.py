"""Random rotation, shift, zoom and flips as one resampling, on the device, on any Keras backend."""

import keras
import numpy as np
from keras import ops


def random_affine(
    rng: np.random.Generator,
    count: int,
    image_size: int,
    rotation: float = 180.0,
    shift: float = 0.1,
    zoom: float = 0.1,
    flip: bool = True,
) -> np.ndarray:
    """Draw transforms, uniformly; the defaults are the ranges of the released recipe.

    Args:
        rng: source of randomness; the same state gives the same transforms on every backend.
        count: number of transforms.
        image_size: side of the images in pixels.
        rotation: largest angle in degrees, either way.
        shift: largest shift of either axis, as a share of the side, either way.
        zoom: each axis is scaled by its own factor in [1 - zoom, 1 + zoom].
        flip: mirror each axis with probability 1/2.

    Returns:
        (count, 8) float32, see `compose`.
    """
    angles = rng.uniform(-rotation, rotation, count)
    shifts = rng.uniform(-shift, shift, (count, 2)) * image_size
    scales = rng.uniform(1 - zoom, 1 + zoom, (count, 2))
    if flip:
        scales *= rng.choice([-1.0, 1.0], (count, 2))
    return compose(angles, shifts, scales, image_size)


def compose(angles: np.ndarray, shifts: np.ndarray, scales: np.ndarray, image_size: int) -> np.ndarray:
    """Transforms about the image centre, with the conventions of Keras' `ImageDataGenerator`.

    From the output to the input an image position is mirrored and scaled, shifted, then rotated.

    Args:
        angles: (N,) degrees.
        shifts: (N, 2) pixels along x and y.
        scales: (N, 2) factors of x and y; negative ones mirror.
        image_size: side in pixels.

    Returns:
        (N, 8) float32 rows a0 a1 a2 b0 b1 b2 0 0, as `keras.ops.image.affine_transform` reads
        them: the output at (x, y) is the input at (a0 x + a1 y + a2, b0 x + b1 y + b2).
    """
    angles = np.deg2rad(angles)
    cos, sin = np.cos(angles), np.sin(angles)
    rotation = np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)
    linear = rotation * scales[:, None, :]
    centre = np.full(2, (image_size - 1) / 2)
    offset = centre + np.einsum("nij,nj->ni", rotation, shifts) - linear @ centre
    transforms = np.zeros((len(angles), 8), np.float32)
    transforms[:, :6] = np.concatenate([linear, offset[:, :, None]], axis=2).reshape(-1, 6)
    return transforms


def identity(count: int) -> np.ndarray:
    """(count, 8) float32 transforms that leave an image as it is."""
    return np.tile(np.float32([1, 0, 0, 0, 1, 0, 0, 0]), (count, 1))


def dihedral(images: np.ndarray, view: int) -> np.ndarray:
    """One of the eight turned and mirrored copies of square images (N, S, S, ...); view 0 is the image itself."""
    if not 0 <= view < 8:
        raise ValueError(f"a square has the views 0 to 7, not {view}")
    turned = np.rot90(images, view % 4, axes=(1, 2))
    return turned[:, :, ::-1] if view >= 4 else turned


def _sources(images, transforms):
    """Where each pixel comes from, x and y of shape (N, H, W), and the first pixel of each image in a flat list."""
    height, width = images.shape[1:3]
    a0, a1, a2, b0, b1, b2 = (transforms[:, i, None, None] for i in range(6))
    x = ops.arange(width, dtype="float32")[None, None, :]
    y = ops.arange(height, dtype="float32")[None, :, None]
    source_x = ops.clip(a0 * x + a1 * y + a2, 0, width - 1)
    source_y = ops.clip(b0 * x + b1 * y + b2, 0, height - 1)
    first = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None] * (height * width)
    return source_x, source_y, first


def _nearest(images, transforms):
    source_x, source_y, first = _sources(images, transforms)
    width, channels = images.shape[2:]
    column, row = (ops.cast(ops.floor(source + 0.5), "int32") for source in (source_x, source_y))
    return ops.cast(ops.take(ops.reshape(images, (-1, channels)), first + row * width + column, axis=0), "float32")


def _bilinear(images, transforms):
    source_x, source_y, first = _sources(images, transforms)
    height, width, channels = images.shape[1:]
    left, top = ops.minimum(ops.floor(source_x), width - 2), ops.minimum(ops.floor(source_y), height - 2)
    right_share, bottom_share = (source_x - left)[..., None], (source_y - top)[..., None]
    corner = first + ops.cast(top, "int32") * width + ops.cast(left, "int32")
    pixels = ops.reshape(images, (-1, channels))

    def row(start):
        left, right = (ops.cast(ops.take(pixels, start + i, axis=0), "float32") for i in (0, 1))
        return left + (right - left) * right_share

    upper, lower = row(corner), row(corner + width)
    return upper + (lower - upper) * bottom_share


if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    # Without XLA the steps above run one by one, 4 times slower on a CPU.
    _bilinear, _nearest = (tf.function(resample, jit_compile=True) for resample in (_bilinear, _nearest))


def apply_affine(images, transforms, interpolation: str = "bilinear"):
    """Resample each image by its transform; beyond the edge stands the nearest pixel.

    It equals `keras.ops.image.affine_transform` with fill mode nearest. TensorFlow cannot compile that one with XLA,
    nor then a network that contains it.

    Args:
        images: (N, H, W, C), H and W of 2 or more; any dtype.
        transforms: (N, 8) float32, see `compose`.
        interpolation: `"bilinear"` for images, `"nearest"` for masks.

    Returns:
        (N, H, W, C) float32.
    """
    resample = {"bilinear": _bilinear, "nearest": _nearest}[interpolation]
    return resample(ops.convert_to_tensor(images), ops.convert_to_tensor(transforms, "float32"))


@keras.saving.register_keras_serializable("soft_attention")
class AffineAugmentation(keras.layers.Layer):
    """Resamples images by the transforms given with them in training, otherwise passes them on.

    Call with (images, transforms) as for `apply_affine`; the output is float32. It has no
    randomness of its own. It computes in float32 under every dtype policy, because bfloat16 cannot
    hold the position of a pixel.
    """

    def __init__(self, interpolation="bilinear", **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.interpolation = interpolation

    def call(self, inputs, training=False):
        images, transforms = inputs
        return apply_affine(images, transforms, self.interpolation) if training else ops.cast(images, "float32")

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return super().get_config() | {"interpolation": self.interpolation}
