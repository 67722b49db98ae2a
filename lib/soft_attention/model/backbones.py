"""The convolutional trunks: each up to the tensor that the attention unit sees, and what follows it.

The cut points, layer lists and heads are those of the authors' released notebooks (parameter counts in
`params/published/networks.csv`). VGG16 and ResNet34 are home-made there and are rebuilt here layer by layer;
ResNet50, DenseNet201 and InceptionResNetV2 are `keras.applications` cut at an inner layer. MobileNet is ours:
a network that a CPU can train, treated like ResNet50.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import KerasTensor, layers

from soft_attention.errors import StudyError


def _flatten(x: KerasTensor) -> KerasTensor:
    return layers.Flatten(name="flatten")(x)


def _average(x: KerasTensor) -> KerasTensor:
    return layers.GlobalAveragePooling2D(name="average_pool")(x)


def _unchanged(x: KerasTensor) -> KerasTensor:
    return x


# --- VGG16 ---------------------------------------------------------------------------------------------------

VGG16_GROUPS = (
    (64, (3, 1)),
    (128, (3, 1)),
    (256, (3, 3, 1)),
    (512, (3, 3, 1)),
    (512, (3, 3, 1)),
)


def _convolution(x: KerasTensor, filters: int, size: int, name: str, strides: int = 1) -> KerasTensor:
    """Convolution, ReLU, then batch normalisation: the order of the released home-made networks."""
    x = layers.Conv2D(
        filters, size, strides, "same", activation="relu", kernel_initializer="he_normal", name=f"{name}_conv"
    )(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def _vgg16_group(x: KerasTensor, group: int) -> KerasTensor:
    filters, sizes = VGG16_GROUPS[group]
    for index, size in enumerate(sizes, start=1):
        x = _convolution(x, filters, size, f"group{group + 1}_{index}")
    return x


def _vgg16_trunk(x: KerasTensor, weights: str | None) -> KerasTensor:
    for group in range(3):
        x = layers.MaxPooling2D(padding="same", name=f"group{group + 1}_pool")(_vgg16_group(x, group))
    return _vgg16_group(x, 3)


def _vgg16_pool(x: KerasTensor) -> KerasTensor:
    return layers.MaxPooling2D(padding="same", name="group4_pool")(x)


def _vgg16_tail(x: KerasTensor) -> KerasTensor:
    x = layers.MaxPooling2D(4, padding="same", name="group5_pool")(_vgg16_group(x, 4))
    x = _flatten(x)
    for name in ("dense1", "dense2"):
        x = layers.Dense(4096, "relu", kernel_initializer="he_normal", name=name)(x)
    return x


# --- ResNet34 ------------------------------------------------------------------------------------------------


def _resnet34_stage(x: KerasTensor, stage: int, filters: int, units: int) -> KerasTensor:
    """Residual units of two 3 x 3 convolutions; from 128 filters on each has a third one on its skip path."""
    for unit in range(1, units + 1):
        name = f"stage{stage}_unit{unit}"
        skip = x if filters == 64 else _convolution(x, filters, 3, f"{name}_skip")
        x = _convolution(x, filters, 3, f"{name}_1")
        x = _convolution(x, filters, 3, f"{name}_2")
        x = layers.Add(name=f"{name}_add")([x, skip])
        x = layers.ReLU(name=f"{name}_out")(x)
    return x


def _resnet34_trunk(x: KerasTensor, weights: str | None) -> KerasTensor:
    x = _convolution(x, 64, 3, "stem", strides=2)
    x = layers.MaxPooling2D(3, 2, "same", name="stem_pool")(x)
    x = _resnet34_stage(x, 1, 64, 3)
    x = layers.MaxPooling2D(padding="same", name="stage1_pool")(x)
    return _resnet34_stage(x, 2, 128, 4)


def _resnet34_tail(x: KerasTensor) -> KerasTensor:
    x = _resnet34_stage(x, 3, 256, 6)
    x = layers.MaxPooling2D(padding="same", name="stage3_pool")(x)
    return _average(_resnet34_stage(x, 4, 512, 3))


# --- keras.applications --------------------------------------------------------------------------------------


def _application(builder: Callable, x: KerasTensor, weights: str | None, **options) -> keras.Model:
    try:
        return builder(include_top=False, weights=weights, input_tensor=x, **options)
    except Exception as error:
        if weights != "imagenet":
            raise
        raise StudyError(
            f"the ImageNet weights of {builder.__name__} could not be had ({error}): connect to a network once, "
            "point KERAS_HOME at a folder that holds models/, or set weights to null"
        ) from error


def _resnet50_trunk(x: KerasTensor, weights: str | None) -> KerasTensor:
    return _application(keras.applications.ResNet50, x, weights).output


def _densenet201_whole(x: KerasTensor, weights: str | None) -> KerasTensor:
    return _application(keras.applications.DenseNet201, x, weights).output


def _inception_resnet_v2_whole(x: KerasTensor, weights: str | None) -> KerasTensor:
    return _application(keras.applications.InceptionResNetV2, x, weights).output


def _mobilenet_whole(x: KerasTensor, weights: str | None) -> KerasTensor:
    return _application(keras.applications.MobileNet, x, weights, alpha=0.75).output


def _densenet201_trunk(x: KerasTensor, weights: str | None) -> KerasTensor:
    """Ends inside dense layer 29 of 32 of the last block, at its 128-channel bottleneck: `layers[-28]`."""
    return _application(keras.applications.DenseNet201, x, weights).get_layer("conv5_block29_1_relu").output


def _inception_resnet_v2_trunk(x: KerasTensor, weights: str | None) -> KerasTensor:
    """Ends at the batch normalisation of the first branch of `block8_9`: the released `layers[-28]`.

    Found by the graph: Keras numbers these layers by what else was built in the process, and the second branch
    has the same shape and parameter count.
    """
    model = _application(keras.applications.InceptionResNetV2, x, weights)
    first_branch = model.get_layer("block8_9_mixed").input[0]
    return first_branch._keras_history.operation.input


def _inception_resnet_v2_relu(x: KerasTensor) -> KerasTensor:
    return layers.Dropout(0.5, name="dropout")(layers.ReLU(name="relu")(x))


def _mobilenet_trunk(x: KerasTensor, weights: str | None) -> KerasTensor:
    """Ends at the last layer of stride 16, so that the map still has 8 x 8 cells at 128 px."""
    return _application(keras.applications.MobileNet, x, weights, alpha=0.75).get_layer("conv_pw_11_relu").output


# --- all of them ---------------------------------------------------------------------------------------------


class Architecture(NamedTuple):
    """A network around the place of the attention unit.

    Attributes:
        trunk: image tensor and weights -> the features that the unit sees.
        plain: what stands in the unit's place in the baseline.
        tail: features -> vector before the softmax layer.
        whole: as `trunk`, but with all of the backbone, where the released network cuts a part of it off.
    """

    trunk: Callable[[KerasTensor, str | None], KerasTensor]
    plain: Callable[[KerasTensor], KerasTensor]
    tail: Callable[[KerasTensor], KerasTensor]
    whole: Callable[[KerasTensor, str | None], KerasTensor] | None = None


ARCHITECTURES = {
    "vgg16": Architecture(_vgg16_trunk, _vgg16_pool, _vgg16_tail),
    "resnet34": Architecture(_resnet34_trunk, _unchanged, _resnet34_tail),
    "resnet50": Architecture(_resnet50_trunk, _unchanged, _average),
    "densenet201": Architecture(_densenet201_trunk, _unchanged, _flatten, _densenet201_whole),
    "inception_resnet_v2": Architecture(
        _inception_resnet_v2_trunk, _inception_resnet_v2_relu, _flatten, _inception_resnet_v2_whole
    ),
    "mobilenet": Architecture(_mobilenet_trunk, _unchanged, _average, _mobilenet_whole),
}
