"""The names of the study and the plain facts behind them. Imports nothing heavy: a plan is read without TensorFlow."""

from dataclasses import dataclass

ARMS = ("baseline", "released", "paper", "control")
PROTOCOLS = ("released", "clean", "official")
CHOOSING = {"released": "test", "clean": "validation", "official": "validation"}  # the subset that chooses the epoch


@dataclass(frozen=True)
class Backbone:
    """Facts of a network.

    Attributes:
        title: name for people.
        image_size: side of the released network's input, in pixels.
        minimum_size: smallest side that leaves a map of 2 x 2 cells for the attention unit.
        preprocessing: the scaling that its ImageNet weights expect (`keras.applications` mode: tf, torch or caffe);
            None where there are no such weights.
    """

    title: str
    image_size: int
    minimum_size: int
    preprocessing: str | None = None


BACKBONES = {
    "vgg16": Backbone("VGG16", 224, 9),
    "resnet34": Backbone("ResNet34", 224, 9),
    "resnet50": Backbone("ResNet50", 224, 33, "caffe"),
    "densenet201": Backbone("DenseNet201", 224, 61, "torch"),
    "inception_resnet_v2": Backbone("InceptionResNetV2", 299, 107, "tf"),
    "mobilenet": Backbone("MobileNet 0.75", 224, 31, "tf"),
}
