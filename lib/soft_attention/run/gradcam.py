"""Grad-CAM: which places of a feature map raised the score of a class (Selvaraju et al. 2017)."""

import keras
import numpy as np
from keras import ops

from soft_attention.errors import StudyError


def grad_cam(
    model: keras.Model,
    images: np.ndarray,
    features: str | keras.KerasTensor,
    class_index: int | np.ndarray | None = None,
    batch_size: int = 32,
) -> np.ndarray:
    """Grad-CAM (Selvaraju et al. 2017): where the features of a layer raise the score of a class.

    The channels of the features A (H, W, C) are summed with weights w, each the mean over the
    positions of the gradient of the class's score before the softmax: ReLU(sum_c w_c A_c).

    Args:
        model: a network that ends in a Softmax layer, as those of `build_network` do.
        images: (N, S, S, 3), as the model takes them.
        features: the name of a layer with output (N, H, W, C), or its output tensor; for what the
            attention sees, `networks.FEATURES`, or the input of the head of a frozen network.
        class_index: the class to explain, one for all or (N,); None explains each predicted class.

    Returns:
        Maps (N, H, W), float32, not negative, not normalised; all zero where nothing speaks for
        the class.

    Raises:
        ValueError: no such layer, features of another network, or no Softmax at the end.
    """
    scores_of, features_of = _split_network(model, features)
    maps = []
    for start in range(0, len(images), batch_size):
        batch = ops.convert_to_tensor(images[start : start + batch_size], dtype=model.input.dtype)
        values = features_of(batch)
        if class_index is None:
            chosen = ops.argmax(scores_of([batch, values]), axis=-1)
        else:
            chosen = np.broadcast_to(class_index, len(images))[start : start + batch_size]
        slopes = _gradients(lambda v, b=batch, c=chosen: _total_score(scores_of([b, v]), c), values)
        weights = ops.mean(slopes, axis=(1, 2), keepdims=True)
        maps.append(ops.convert_to_numpy(ops.relu(ops.sum(weights * values, axis=-1))))
    return np.concatenate(maps).astype(np.float32)


def _split_network(model: keras.Model, features: str | keras.KerasTensor) -> tuple[keras.Function, keras.Function]:
    """The model in two: (images, features) -> scores before the softmax, and images -> features.

    The first still takes the images, for paths that lead around the features.
    """
    if isinstance(features, str):
        features = model.get_layer(features).output
    if len(features.shape) != 4:
        raise ValueError(f"Grad-CAM needs features (N, H, W, C), not {features.shape}")
    scores = _before_softmax(model)
    if features is model.input:
        scores_of = keras.Function(features, scores)
        return lambda both: scores_of(both[1]), lambda values: values
    return keras.Function([model.input, features], scores), keras.Function(model.input, features)


def _before_softmax(model: keras.Model) -> keras.KerasTensor:
    """What the last layer receives in this model: it may stand in another one as well."""
    last, node, _ = model.output._keras_history
    if not isinstance(last, keras.layers.Softmax):
        raise ValueError(
            f"Grad-CAM needs the scores before the softmax, but {model.name} ends in {last.name}, "
            "which is no Softmax layer"
        )
    return last._inbound_nodes[node].input_tensors[0]


def _total_score(scores, chosen):
    """The chosen class's score, summed over the batch: its gradient holds every image's own."""
    return ops.sum(ops.take_along_axis(scores, ops.expand_dims(ops.cast(chosen, "int32"), -1), axis=-1))


def _gradients(function, at):
    """The gradient of the scalar `function(at)`, on whichever backend Keras runs."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                tape.watch(at)
                value = function(at)
            return tape.gradient(value, at)
        case "jax":
            import jax

            return jax.grad(function)(at)
        case "torch":
            import torch

            at = at.detach().requires_grad_(True)
            return torch.autograd.grad(function(at), at)[0]
        case other:
            raise StudyError(f"Grad-CAM runs on TensorFlow, JAX and PyTorch, not on {other}")
