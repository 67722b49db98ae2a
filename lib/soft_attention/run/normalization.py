"""Batch normalisation as Keras computes it, in one TensorFlow operation."""

import types

import keras
from keras import ops


def fuse(network: keras.Model) -> None:
    """Let each batch normalisation of `network` train in one operation; only TensorFlow has it.

    Keras writes it as ten operations, of which each reads a whole feature map: together a third of a training step of
    MobileNet on a CPU (`benchmarks/training_step.py`), and in float32 even where the network computes in bfloat16.
    The layers stay Keras' own: a saved network needs nothing of ours to be loaded.

    Example:
        fuse(network)
        network.fit(batches)
    """
    if keras.backend.backend() != "tensorflow":
        return
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and _is_over_channels(layer):
            layer.call = types.MethodType(_call, layer)


def _is_over_channels(layer: keras.layers.BatchNormalization) -> bool:
    return layer.input.ndim == 4 and layer.axis in (-1, 3) and not layer.renorm


def _call(layer, inputs, training=None, mask=None):
    import tensorflow as tf

    if mask is not None or not (training and layer.trainable):
        return keras.layers.BatchNormalization.call(layer, inputs, training=training, mask=mask)
    channels = inputs.shape[-1]
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=ops.cast(layer.gamma, "float32") if layer.scale else tf.ones(channels),
        offset=ops.cast(layer.beta, "float32") if layer.center else tf.zeros(channels),
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=layer.epsilon,
    )
    count = tf.cast(tf.size(inputs) // channels, "float32")
    variance *= (count - 1) / count  # TensorFlow estimates that of a population, Keras keeps that of the batch
    for kept, now in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        kept.assign(layer.momentum * kept + (1 - layer.momentum) * now)
    return outputs
