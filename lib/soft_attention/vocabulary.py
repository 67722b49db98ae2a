"""The names of the study and the plain facts behind them. Imports nothing heavy: a plan is read without TensorFlow."""

from dataclasses import dataclass

from soft_attention.errors import known

ARMS = ("baseline", "released", "paper", "control")
CUTS = ("released", "whole")
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
        whole: the released network cuts a part of it off, and it can be had without that cut.
    """

    title: str
    image_size: int
    minimum_size: int
    preprocessing: str | None = None
    whole: bool = False


BACKBONES = {
    "vgg16": Backbone("VGG16", 224, 9),
    "resnet34": Backbone("ResNet34", 224, 9),
    "resnet50": Backbone("ResNet50", 224, 33, "caffe"),
    "densenet201": Backbone("DenseNet201", 224, 61, "torch", whole=True),
    "inception_resnet_v2": Backbone("InceptionResNetV2", 299, 107, "tf", whole=True),
    "mobilenet": Backbone("MobileNet 0.75", 224, 31, "tf", whole=True),
}


def check_backbone(backbone: str, image_size: int, weights: str | None, cut: str) -> None:
    """ValueError if a backbone cannot be had so: with images of that side in pixels, those weights, that cut."""
    facts = BACKBONES[backbone]
    if image_size < facts.minimum_size:
        raise ValueError(
            f"images of {image_size} px are too small for {backbone}: the attention unit needs a map of at least 2 x 2 "
            f"cells, that is {facts.minimum_size} px"
        )
    if weights == "imagenet" and facts.preprocessing is None:
        raise ValueError(f"{backbone} is the authors' own network and has no ImageNet weights: set weights to null")
    if known(cut, CUTS, "cut") == "whole" and not facts.whole:
        raise ValueError(f"{backbone} is not cut in the released network: set cut to released")
