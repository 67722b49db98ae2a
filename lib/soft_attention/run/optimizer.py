"""Adam as Keras computes it, in fewer operations."""

import keras
from keras import ops


def adam(learning_rate, epsilon: float) -> keras.optimizers.Adam:
    """Keras' Adam (Kingma & Ba, 2015); on TensorFlow in the form that takes it less time to build."""
    kind = FusedAdam if keras.backend.backend() == "tensorflow" else keras.optimizers.Adam
    return kind(learning_rate, epsilon=epsilon)


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam with one TensorFlow operation for each weight.

    Keras writes the update of a weight as 39 operations. They are more than half of DenseNet201's training graph, and
    TensorFlow takes longer to build that graph than a short training takes.
    """

    def apply(self, grads, trainable_variables=None):
        step = ops.cast(self.iterations + 1, "float32")
        beta1, beta2 = ops.convert_to_tensor(self.beta_1), ops.convert_to_tensor(self.beta_2)
        self._of_this_step = {  # once for all weights
            "beta1": beta1,
            "beta2": beta2,
            "beta1_power": ops.power(beta1, step),
            "beta2_power": ops.power(beta2, step),
            "epsilon": ops.convert_to_tensor(self.epsilon),
        }
        super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        import tensorflow as tf

        index = self._get_variable_index(variable)
        return tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            lr=learning_rate,
            grad=gradient,
            **self._of_this_step,
        )
