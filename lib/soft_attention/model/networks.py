"""The study's networks: a backbone, the arm's step in the place of the attention unit, a softmax layer."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
from keras import KerasTensor, layers

from soft_attention.errors import StudyError, WrongValue, known
from soft_attention.files import why_unreadable
from soft_attention.model.attention import SoftAttention
from soft_attention.model.backbones import ARCHITECTURES
from soft_attention.model.checkpoints import is_keras2, load_keras2
from soft_attention.model.units import Unit
from soft_attention.vocabulary import ARMS, BACKBONES, Arm, check_backbone, no_maps

UNIT = "soft_attention"
FEATURES = "features"  # in every network, the layer whose output the unit sees, or would see
LESION = "lesion"  # the layer whose output is the mask, in a network that needs one


@keras.saving.register_keras_serializable(package="soft_attention")
class Preprocessing(keras.layers.Layer):
    """Scales RGB images in [0, 255] as `keras.applications` does in `mode` (tf: to [-1, 1]; torch; caffe)."""

    def __init__(self, mode="tf", **kwargs):
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, images):
        return keras.applications.imagenet_utils.preprocess_input(images, mode=self.mode)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"mode": self.mode}


def build_network(
    backbone: str,
    arm: str,
    classes: int = 7,
    image_size: int | None = None,
    weights: str | Path | None = None,
    *,
    preprocessing: str = "authors",
    heads: int = 16,
    channels: Sequence[int] | None = None,
    cut: str = "authors",
    baseline_dropout: bool = False,
    baseline_pool: bool = False,
    frame_dropout: bool = True,
    train_unit: bool = True,
    head_norm: bool = False,
) -> keras.Model:
    """One network of the study.

    Args:
        backbone: a key of `BACKBONES`.
        arm: a key of `ARMS`.
        classes: number of outputs.
        image_size: side of the square input in pixels; None means the released network's own.
        weights: None (random), `"imagenet"` (trunk only) or the path of a saved model or weights file.
        preprocessing: `"authors"` scales to [-1, 1] for every backbone, as the authors did;
            `"backbone"` scales as the backbone's ImageNet weights expect.
        heads: number of attention maps.
        channels: which channels the arm `released` makes its maps from; None: 0, 1 and 2, as released.
        cut: `"authors"`: the backbone ends where the authors cut it; `"whole"`: where it ends. The two differ for
            DenseNet201, InceptionResNetV2 and MobileNet, and only those can be had whole.
        baseline_dropout: drop half of the features in the baseline too, as every other arm does (and as the released
            InceptionResNetV2 does anyway).
        baseline_pool: pool the baseline's features, as the frame of every other arm does.
        frame_dropout: keep the dropout of the frame.
        train_unit: train the unit; False leaves it as it was drawn.
        head_norm: normalise the inputs of the last layer by their mean and deviation, as is usual when only a
            linear layer is trained on frozen features (He et al. 2022, masked autoencoders, A.1): without
            parameters of its own, so what the network can compute stays the same and is found sooner.

    Returns:
        A model from images `(B, S, S, 3)`, RGB in [0, 255], to softmax probabilities `(B, classes)`. The arm `lesion`
        takes a dictionary: `image`, and `mask` `(B, S, S)` with 1 on the lesion and 0 beside it.

    Raises:
        WrongValue: unknown backbone, arm, preprocessing or cut, a cut that the backbone does not have, or an image
            too small to leave 2 x 2 cells.
        StudyError: weights that do not exist, cannot be fetched, are damaged or do not fit.

    >>> network = build_network("mobilenet", "released", classes=3, image_size=64)
    >>> network.output_shape
    (None, 3)
    """
    facts, architecture = BACKBONES[known(backbone, BACKBONES, "backbone")], ARCHITECTURES[backbone]
    step = ARMS[known(arm, ARMS, "arm")]
    size = image_size or facts.image_size
    check_backbone(backbone, size, weights, cut)
    trunk = architecture.whole if cut == "whole" else architecture.trunk
    imagenet = weights == "imagenet"

    image = keras.Input((size, size, 3), name="image")
    x = Preprocessing(_preprocessing_mode(preprocessing, facts.preprocessing), name="preprocessing")(image)
    features = layers.Identity(name=FEATURES)(trunk(x, "imagenet" if imagenet else None))
    inputs = {"image": image, "mask": keras.Input((size, size), name="mask")} if step.needs_mask else image
    if step.frame:
        attended = _attended(features, step, heads, channels, train_unit, inputs)
        x = _frame(features, attended, frame_dropout)
    else:
        x = _plain(architecture.plain(features), baseline_pool, baseline_dropout)
    x = architecture.tail(x)
    if head_norm:
        x = layers.BatchNormalization(center=False, scale=False, name="head_norm")(x)
    x = layers.Dense(classes, name="logits")(x)
    probabilities = layers.Softmax(dtype="float32", name="probabilities")(x)
    network = keras.Model(inputs, probabilities, name=f"{backbone}_{arm}")
    if weights and not imagenet:
        _load_weights(network, Path(weights))
    return network


def attention_unit(network: keras.Model) -> Unit:
    """The unit of a network that learns where to look; WrongValue for an arm that has none."""
    for layer in network.layers:
        if isinstance(layer, Unit) and type(layer).maps is not Unit.maps:
            return layer
    raise WrongValue(no_maps(network.name))


def learned_gamma(network: keras.Model) -> float | None:
    """The scale gamma of the unit of the arm `paper`; None in the other arms, which have none.

    Where the features are not negative, as behind a ReLU, a gamma of 0 or less silences the attention: the ReLU of the
    released frame then leaves nothing of the attended features, and no gradient that could bring it back.
    """
    units = [layer for layer in network.layers if isinstance(layer, SoftAttention) and layer.variant == "paper"]
    return float(units[0].gamma) if units else None


def attention_maps(model: keras.Model, images: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """The attention maps of `images` `(N, S, S, 3)` as float32 `(N, heads, H, W)`; each map sums to 1."""
    unit = attention_unit(model)
    features_of = keras.Model(model.input, model.get_layer(FEATURES).output)
    batches = (images[start : start + batch_size] for start in range(0, len(images), batch_size))
    return np.concatenate([maps_of_features(unit, features_of(batch, training=False)) for batch in batches])


def maps_of_features(unit: Unit, features) -> np.ndarray:
    """The maps that a unit makes of features `(N, H, W, C)`: float32 `(N, heads, H, W)`; each map sums to 1."""
    return keras.ops.convert_to_numpy(unit.maps(keras.ops.convert_to_tensor(features, unit.compute_dtype)))


def _attended(features: KerasTensor, arm: Arm, heads: int, channels, trainable: bool, inputs) -> KerasTensor:
    """What the arm's unit makes of the features; without a unit, the features themselves."""
    if arm.unit is None:
        return features
    module, name = arm.unit.split(":")
    options = dict(arm.options) if channels is None else {**arm.options, "channels": channels}
    unit = getattr(import_module(module), name)(heads=heads, name=UNIT, trainable=trainable, **options)
    return unit([features, layers.Identity(name=LESION)(inputs["mask"])] if arm.needs_mask else features)


def _frame(features: KerasTensor, attended: KerasTensor, dropout: bool) -> KerasTensor:
    """The released frame: pool the plain and the attended features, concatenate them, ReLU, dropout."""
    x = layers.Concatenate(name="attention_concat")(
        [
            layers.MaxPooling2D(padding="same", name="features_pool")(features),
            layers.MaxPooling2D(padding="same", name="attended_pool")(attended),
        ]
    )
    x = layers.ReLU(name="attention_relu")(x)
    return layers.Dropout(0.5, name="attention_dropout")(x) if dropout else x


def _plain(x: KerasTensor, pool: bool, dropout: bool) -> KerasTensor:
    """The baseline, with parts of the frame where a run asks for them and the network does not have them anyway."""
    if pool and not isinstance(x._keras_history.operation, layers.MaxPooling2D):
        x = layers.MaxPooling2D(padding="same", name="baseline_pool")(x)
    if dropout and not isinstance(x._keras_history.operation, layers.Dropout):
        x = layers.Dropout(0.5, name="baseline_dropout")(x)
    return x


def _preprocessing_mode(preprocessing: str, own: str | None) -> str:
    known(preprocessing, ("authors", "backbone"), "preprocessing")
    return "tf" if preprocessing == "authors" or own is None else own


def _load_weights(network: keras.Model, path: Path) -> None:
    if not path.exists():
        raise StudyError(f"the weights file {path} does not exist")
    try:
        if is_keras2(path):
            load_keras2(network, path)
        elif path.suffix == ".keras":
            network.set_weights(keras.saving.load_model(path, compile=False).get_weights())
        else:
            network.load_weights(path)
    except StudyError:
        raise
    except Exception as error:
        if "Lambda" in str(error):
            raise StudyError(f"the weights file {path} {why_unreadable(error)}: give another") from error
        raise StudyError(f"the weights file {path} is damaged or does not fit {network.name}: {error}") from error
