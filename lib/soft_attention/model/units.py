"""What can stand in the place of the attention unit: fixed maps, the true lesion, and the attention everyone uses.

Every arm with a unit keeps the same frame around it (`networks.py`), so that only the unit differs.
"""

import keras
import numpy as np
from keras import layers, ops

from soft_attention.evaluation.saliency import centred_gaussian


class Unit(layers.Layer):
    """Turns features `(B, H, W, C)` into attended features of the same shape.

    A subclass writes `call`, and `maps` where it learns where to look. Its line in `vocabulary.ARMS` says whether it
    learns, needs the lesion mask, and has maps. A unit that needs the mask is called with `[features, lesion]`, the
    lesion `(B, S, S)` with 1 on the lesion and 0 beside it, at the size of the image.

    Args:
        heads: number of maps. A map sums to 1, so the sum of the weights over all places is `heads`. Units that fix
            the map keep to that sum.

    Raises:
        ValueError: no head, or features of unknown size.
    """

    def __init__(self, heads=16, **kwargs):
        super().__init__(**kwargs)
        if heads < 1:
            raise ValueError(f"{type(self).__name__} needs at least one head, received heads={heads}")
        self.heads = heads

    def build(self, input_shape):
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ValueError(
                f"{type(self).__name__} needs features (batch, height, width, channels) of known size, "
                f"received {input_shape}"
            )

    def maps(self, features):
        """The maps that the unit looks through: `(B, H, W, C)` -> `(B, K, H, W)`, each summing to 1."""
        raise ValueError(f"{type(self).__name__} has no maps that it learns")

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"heads": self.heads}


@keras.saving.register_keras_serializable(package="soft_attention")
class UniformMap(Unit):
    """Weights every place alike: attention that has no preference. No parameter."""

    def call(self, features):
        return features * (self.heads / (features.shape[1] * features.shape[2]))


@keras.saving.register_keras_serializable(package="soft_attention")
class CentreMap(Unit):
    """Weights the middle of every image: a Gaussian, its standard deviation a quarter of the side. No parameter."""

    def call(self, features):
        weights = self.heads * centred_gaussian(features.shape[1:3])
        return features * ops.convert_to_tensor(weights[None, :, :, None], features.dtype)


@keras.saving.register_keras_serializable(package="soft_attention")
class LesionMap(Unit):
    """Weights each place by how much of it is lesion: an oracle. No parameter.

    The mask is averaged over the area of each cell of the feature map and scaled to the sum of the weights. An image
    whose mask is empty is weighted alike everywhere.
    """

    def build(self, input_shape):
        features, lesion = input_shape
        super().build(features)
        self._rows, self._columns = area_shares(lesion[1], features[1]), area_shares(lesion[2], features[2])

    def call(self, inputs):
        features, lesion = inputs
        return features * ops.cast(self.weights_of(lesion), features.dtype)[..., None]

    def weights_of(self, lesion):
        """The weight of each cell, float32: `(B, S, S)` -> `(B, H, W)`."""
        rows, columns = (ops.convert_to_tensor(shares, "float32") for shares in (self._rows, self._columns))
        cells = rows @ ops.cast(lesion, "float32") @ ops.transpose(columns)
        total = ops.sum(cells, axis=(1, 2), keepdims=True)
        alike = 1 / (cells.shape[1] * cells.shape[2])
        return self.heads * ops.where(total > 0, cells / ops.maximum(total, 1e-6), alike)

    def compute_output_shape(self, input_shape):
        return input_shape[0]


def area_shares(pixels: int, cells: int) -> np.ndarray:
    """How much of each cell each pixel covers, along one axis: `(cells, pixels)` float32, each row summing to 1.

    >>> area_shares(4, 2).tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    edges = np.arange(cells + 1) * pixels / cells
    pixel = np.arange(pixels)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return (np.clip(covered, 0, 1) * cells / pixels).astype(np.float32)


@keras.saving.register_keras_serializable(package="soft_attention")
class SqueezeExcitation(Unit):
    """Weights every channel by a number that all places decide together (Hu, Shen, Sun, CVPR 2018).

    The mean of each channel goes through two dense layers, the first a sixteenth as wide, with ReLU and sigmoid.
    """

    REDUCTION = 16

    def build(self, input_shape):
        super().build(input_shape)
        channels = input_shape[-1]
        self.squeeze = layers.Dense(max(1, channels // self.REDUCTION), "relu", name="squeeze", dtype=self.dtype_policy)
        self.excite = layers.Dense(channels, name="excite", dtype=self.dtype_policy)
        self.squeeze.build((None, channels))
        self.excite.build((None, self.squeeze.units))

    def call(self, features):
        return features * ops.sigmoid(self.scores(ops.mean(features, axis=(1, 2), keepdims=True)))

    def scores(self, pooled):
        """What the two dense layers make of one number per channel: `(B, 1, 1, C)` -> `(B, 1, 1, C)`."""
        return self.excite(self.squeeze(pooled))


@keras.saving.register_keras_serializable(package="soft_attention")
class CBAM(SqueezeExcitation):
    """The channels weighted first, then the places (Woo, Park, Lee, Kweon, ECCV 2018).

    Channels: as in squeeze-and-excitation, from the mean and from the maximum of each channel, with shared layers.
    Places: a 7 x 7 convolution of the mean and the maximum over the channels, and a sigmoid.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.places = layers.Conv2D(1, 7, padding="same", use_bias=False, name="places", dtype=self.dtype_policy)
        self.places.build((*input_shape[:-1], 2))

    def call(self, features):
        weighted = self._weighted_channels(features)
        return weighted * self._weights_of_places(weighted)

    def maps(self, features):
        """The weights of the places, scaled to sum 1: `(B, H, W, C)` -> `(B, 1, H, W)`."""
        weights = ops.cast(self._weights_of_places(self._weighted_channels(features))[..., 0], "float32")
        return (weights / ops.sum(weights, axis=(1, 2), keepdims=True))[:, None]

    def _weighted_channels(self, features):
        pooled = (pool(features, axis=(1, 2), keepdims=True) for pool in (ops.mean, ops.max))
        return features * ops.sigmoid(sum(self.scores(values) for values in pooled))

    def _weights_of_places(self, features):
        pooled = [pool(features, axis=-1, keepdims=True) for pool in (ops.mean, ops.max)]
        return ops.sigmoid(self.places(ops.concatenate(pooled, axis=-1)))
