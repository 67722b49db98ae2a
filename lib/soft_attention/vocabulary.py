"""The names of the study and the plain facts behind them. Imports nothing heavy: a plan is read without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from soft_attention.errors import WrongValue, known


@dataclass(frozen=True)
class Arm:
    """What stands in the place of the attention unit. A new arm is a class in `model/units.py` and a line in `ARMS`.

    Attributes:
        title: name for people.
        about: what it is, in one sentence without a full stop.
        colour: of its marks in every figure.
        unit: `module:Class` of a Keras layer that turns the features into attended ones; None: there is none.
        options: what the unit is made with, besides its number of heads.
        frame: the released frame stands around the unit: the plain and the attended features are pooled, put side by
            side, and half of them are dropped.
        learns: the unit has weights of its own.
        needs_mask: the unit is told where the lesion is. Such an arm is an oracle: no real system has it.
        maps: the unit learns where to look, and its maps can be drawn.
    """

    title: str
    about: str
    colour: str
    unit: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    frame: bool = True
    learns: bool = False
    needs_mask: bool = False
    maps: bool = False


_ATTENTION, _UNITS = "soft_attention.model.attention", "soft_attention.model.units"

BASELINE = "baseline"
ARMS = {
    "baseline": Arm("baseline", "the authors' network without attention", "#8d99ae", frame=False),
    "released": Arm(
        "released unit",
        "the unit as the authors' code computes it: its maps are made from three channels",
        "#c8553d",
        f"{_ATTENTION}:SoftAttention",
        {"variant": "released"},
        learns=True,
        maps=True,
    ),
    "paper": Arm(
        "paper's unit",
        "the unit as the paper writes it: all channels, and a learned scale gamma",
        "#4c6a92",
        f"{_ATTENTION}:SoftAttention",
        {"variant": "paper"},
        learns=True,
        maps=True,
    ),
    "control": Arm("control", "the frame of the unit, with the features on both sides", "#b08968"),
    "uniform": Arm(
        "uniform map", "the frame of the unit, every place weighted alike", "#6b705c", f"{_UNITS}:UniformMap"
    ),
    "centre": Arm(
        "centred Gaussian",
        "the frame of the unit, a fixed Gaussian in the middle of each image",
        "#e0a458",
        f"{_UNITS}:CentreMap",
    ),
    "lesion": Arm(
        "true lesion (oracle)",
        "the frame of the unit, the true lesion mask as its map: a reference that no real system has",
        "#5a8f69",
        f"{_UNITS}:LesionMap",
        needs_mask=True,
    ),
    "se": Arm(
        "squeeze-and-excitation",
        "the frame of the unit, with the channel attention of Hu et al. (2018)",
        "#8a5a83",
        f"{_UNITS}:SqueezeExcitation",
        learns=True,
    ),
    "cbam": Arm(
        "CBAM",
        "the frame of the unit, with the channel and spatial attention of Woo et al. (2018)",
        "#3d7a80",
        f"{_UNITS}:CBAM",
        learns=True,
        maps=True,
    ),
}


def no_maps(name: str) -> str:
    """The sentence for a run or a network, called `name`, whose arm has no attention maps."""
    with_maps = " or ".join(arm for arm, facts in ARMS.items() if facts.maps)
    return f"{name} has no attention to look at: choose a run of the arm {with_maps}"


CUTS = ("authors", "whole")


@dataclass(frozen=True)
class Protocol:
    """Who trains, validates, tests. A new protocol is a function in `data/splits.py` and a line in `PROTOCOLS`.

    Attributes:
        chooses: the subset that chooses the epoch.
        folds: there are folds, of which one is the test set.
        validation_share: of what is not tested, where none is asked for; None: nothing validates.
        single_images: only lesions of one image are tested, so that none has another one to leak.
        ours: what our test images are, beside the published ones that also chose the epoch.
    """

    chooses: str = "validation"
    folds: bool = False
    validation_share: float | None = 0.15
    single_images: bool = False
    ours: str = "are others and choose nothing"


PROTOCOLS = {
    "authors": Protocol("test", validation_share=None, single_images=True, ours="choose it too, in another draw"),
    "clean": Protocol(folds=True),
    "official": Protocol(),
}


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
    """WrongValue if a backbone cannot be had so: with images of that side in pixels, those weights, that cut."""
    facts = BACKBONES[backbone]
    if image_size < facts.minimum_size:
        raise WrongValue(
            f"images of {image_size} px are too small for {backbone}: the attention unit needs a map of at least 2 x 2 "
            f"cells, that is {facts.minimum_size} px"
        )
    if weights == "imagenet" and facts.preprocessing is None:
        raise WrongValue(f"{backbone} is the authors' own network and has no ImageNet weights: set weights to null")
    if known(cut, CUTS, "cut") == "whole" and not facts.whole:
        raise WrongValue(f"{backbone} is not cut in the authors' network: set cut to authors")
