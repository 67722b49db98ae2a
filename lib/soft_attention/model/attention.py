"""The soft-attention unit, as the paper writes it and as the released code computes it."""

import keras
from keras import ops

from soft_attention.errors import known
from soft_attention.model.units import Unit

VARIANTS = ("paper", "released")


@keras.saving.register_keras_serializable(package="soft_attention")
class SoftAttention(Unit):
    """Weights every position of a feature map by the sum of `heads` spatial softmax maps.

    With features `t` of shape `(B, H, W, C)` and `K = heads`:

    1. a convolution gives one score map per head, `(B, H, W, K)`;
    2. each score map is softmax-normalised over its `H * W` positions: `K` maps that sum to 1;
    3. the maps are summed over the heads and multiplied with `t`.

    The variants differ in step 1 and in a factor:

    - `"paper"` (Datta et al., 2021, Eq. 1, as others quote it): a convolution over all `C` channels, no bias (a
      softmax over positions cannot see one), and the result is scaled by a learnable scalar `gamma`. That it is
      3 x 3, has 16 heads and starts at gamma = 0.01 is this study's choice: no source at hand says.
    - `"released"`: what the authors' code computes. Its 3-D kernel `(C, 3, 3)` is laid over the axes
      `(height, width, channel)` of the tensor with strides `(1, 1, C)` and SAME padding. The long side
      therefore runs along the rows, only channels 0, 1 and 2 are read, and only the kernel rows within
      `H - 1` of the middle ever meet a pixel. That is a 2-D convolution of three channels with a kernel
      of at most `2H - 1` rows and 3 columns, and it is evaluated as such, followed by a bias and a ReLU.
      The weight keeps the released shape `(C, 3, 3, 1, heads)`. There is no `gamma`.

    Args:
        heads: number of maps, `K` (16 in the released code).
        variant: `"paper"` or `"released"`.
        return_maps: also return the `K` maps.
        gamma_start: the scale of the variant `"paper"` before training.
        channels: which channels the variant `"released"` reads; None: those that the released code reads, 0, 1 and 2.

    Call arguments:
        features: tensor `(B, H, W, C)` with known `H`, `W` and `C`.

    Returns:
        Attended features `(B, H, W, C)`, and with `return_maps` also the maps `(B, K, H, W)` in float32.

    Raises:
        ValueError: an unknown variant, no head, channels that the features do not have, features of unknown size.

    >>> features = keras.ops.ones((2, 6, 6, 32))
    >>> attended, maps = SoftAttention(heads=4, variant="released", return_maps=True)(features)
    >>> tuple(attended.shape), tuple(maps.shape)
    ((2, 6, 6, 32), (2, 4, 6, 6))
    """

    def __init__(self, heads=16, variant="paper", return_maps=False, gamma_start=0.01, channels=None, **kwargs):
        super().__init__(heads, **kwargs)
        self.variant = known(variant, VARIANTS, "variant of SoftAttention")
        self.return_maps = return_maps
        self.gamma_start = gamma_start
        self.channels = None if channels is None else tuple(channels)

    def build(self, input_shape):
        super().build(input_shape)
        channels = input_shape[-1]
        if self.channels and not all(0 <= channel < channels for channel in self.channels):
            raise ValueError(f"the features have the channels 0 to {channels - 1}, received channels={self.channels}")
        if self.variant == "released":
            shape = (channels, 3, 3, 1, self.heads)
            self.bias = self.add_weight(shape=(self.heads,), initializer="zeros", name="bias")
        else:
            shape = (3, 3, channels, self.heads)
            self.gamma = self.add_weight(
                shape=(), initializer=keras.initializers.Constant(self.gamma_start), name="gamma"
            )
        self.kernel = self.add_weight(shape=shape, initializer="he_uniform", name="kernel")

    def maps(self, features):
        """The `heads` attention maps of `features`: `(B, H, W, C)` -> `(B, heads, H, W)`, each summing to 1."""
        return ops.transpose(self._weights(features), (0, 3, 1, 2))

    def call(self, features):
        weights = self._weights(features)
        weight = ops.cast(ops.sum(weights, axis=-1, keepdims=True), features.dtype)
        if self.variant == "paper":
            weight = self.gamma * weight
        attended = features * weight
        return (attended, ops.transpose(weights, (0, 3, 1, 2))) if self.return_maps else attended

    def _weights(self, features):
        """The maps as `(B, H, W, heads)`. `ops.softmax` would want the positions last, and to move them costs more."""
        scores = self._released_scores(features) if self.variant == "released" else self._paper_scores(features)
        scores = ops.cast(scores, "float32")
        highest = ops.stop_gradient(ops.max(scores, axis=(1, 2), keepdims=True))
        shares = ops.exp(scores - highest)
        return shares / ops.sum(shares, axis=(1, 2), keepdims=True)

    def _paper_scores(self, features):
        return ops.conv(features, ops.cast(self.kernel, features.dtype), padding="same")

    def _released_scores(self, features):
        _, height, _, channels = features.shape
        read, slices = live_channels(channels)
        kernel = self.kernel[live_rows(height, channels), :, slices, 0, :]  # (rows, 3, read, heads)
        seen = features[..., read] if self.channels is None else ops.take(features, self.channels, axis=-1)
        # Keras casts weights within a call only, and `maps` is asked for outside of one.
        kernel, bias = ops.cast(kernel, features.dtype), ops.cast(self.bias, features.dtype)
        return ops.relu(ops.conv(seen, kernel, padding="same") + bias)

    def compute_output_shape(self, input_shape):
        if self.return_maps:
            return tuple(input_shape), (input_shape[0], self.heads, *input_shape[1:3])
        return tuple(input_shape)

    def compute_output_spec(self, features):
        attended = keras.KerasTensor(features.shape, dtype=self.compute_dtype)
        if self.return_maps:
            maps_shape = (features.shape[0], self.heads, *features.shape[1:3])
            return attended, keras.KerasTensor(maps_shape, dtype="float32")
        return attended

    def get_config(self):
        names = ("variant", "return_maps", "gamma_start", "channels")
        return super().get_config() | {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config):
        """Networks saved before `gamma_start` had its name say `gamma`."""
        return cls(**{"gamma_start" if name == "gamma" else name: value for name, value in config.items()})


def live_rows(height: int, channels: int) -> slice:
    """Rows of the released kernel that can meet a pixel.

    A kernel of `channels` rows with SAME padding is centred on row `(channels - 1) // 2`, and so is the part of it
    that is kept; an output row can reach at most `height - 1` rows away. At 8 x 8 x 192 these are rows 88 to 102.
    """
    middle = (channels - 1) // 2
    return slice(max(0, middle - (height - 1)), min(channels, middle + height))


def live_channels(channels: int) -> tuple[slice, slice]:
    """Channels of the features that the released kernel reads, and the slices of its third axis that read them.

    With stride `channels` SAME padding adds nothing from three channels on, so channels 0, 1, 2 are read.
    """
    before = max(0, 3 - channels) // 2
    read = min(channels, 3)
    return slice(0, read), slice(before, before + read)
