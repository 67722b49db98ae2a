"""Outputs of a model in batches of one shape."""

import keras
import numpy as np
import pytest

from soft_attention.run.forward import outputs


@pytest.mark.parametrize("count", [1, 4, 9])
def test_all_outputs_in_order_from_batches_of_one_shape(count):
    values = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    asked = []

    def batch_of(at):
        asked.append(len(at))
        return values[at]

    model = keras.Sequential([keras.Input((3,)), keras.layers.Rescaling(2.0)])
    np.testing.assert_allclose(outputs(model, batch_of, count, size=4), 2 * values)
    assert set(asked) == {4} and len(asked) == -(-count // 4)
