import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.optimizers import KernelMuon, as_matrix, muon


def step(kernel: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """The kernel's change after one step of rate 1."""
    variable = keras.Variable(kernel)
    optimizer = KernelMuon(1.0, weight_decay=0.0, adam_weight_decay=0.0)
    optimizer.apply([tf.constant(gradient)], [variable])
    return variable.numpy() - kernel


def random_kernel(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(3, 3, 16, 32), (1, 1, 64, 16), (24, 8)])
def test_a_step_is_nearly_orthogonal_and_as_large_as_adams(shape: tuple[int, ...]) -> None:
    change = as_matrix(tf.constant(step(np.zeros(shape, np.float32), random_kernel(*shape)))).numpy()
    values = np.linalg.svd(change, compute_uv=False) / (0.2 * np.sqrt(max(change.shape)))
    assert values.min() > 0.5 and values.max() < 1.5


@pytest.mark.parametrize("size", [0.01, 100.0])
def test_the_size_of_a_gradient_does_not_matter(size: float) -> None:
    gradient, zeros = random_kernel(3, 3, 16, 16), np.zeros((3, 3, 16, 16), np.float32)
    np.testing.assert_allclose(step(zeros, gradient), step(zeros, size * gradient), atol=1e-3)


@pytest.mark.parametrize("shape", [(32,), (3, 3, 5, 64), (3, 3, 64, 12)])
def test_small_kernels_and_biases_are_left_to_adam(shape: tuple[int, ...]) -> None:
    gradient = random_kernel(*shape)
    np.testing.assert_allclose(step(np.zeros(shape, np.float32), gradient), -np.sign(gradient), rtol=0.05)


def test_last_layers_are_left_to_adam() -> None:
    layer = keras.layers.Dense(4, name="colours")
    layer.build((None, 3))
    optimizers = {name: muon(0.1, last_layers=["colours"][:name]) for name in (0, 1)}
    changes = []
    for optimizer in optimizers.values():
        before, gradient = layer.kernel.numpy(), random_kernel(3, 4)
        optimizer.apply([tf.constant(gradient)], [layer.kernel])
        changes.append((layer.kernel.numpy() - before) / -np.sign(gradient))
    assert np.ptp(changes[0]) > 0.01
    np.testing.assert_allclose(changes[1], 0.1, rtol=0.05)


def test_an_average_of_the_weights_is_left_behind() -> None:
    variable, seen = keras.Variable(np.zeros((16, 16), np.float32)), []
    optimizer = muon(1.0, average=0.25)
    for _ in range(2):
        optimizer.apply([tf.constant(random_kernel(16, 16))], [variable])
        seen.append(variable.numpy())
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(variable.numpy(), 0.25 * seen[0] + 0.75 * seen[1], atol=1e-5)


def test_it_trains_a_convolution() -> None:
    keras.utils.set_random_seed(0)
    teacher, pupil = (keras.Sequential([keras.Input((8, 8, 16)), keras.layers.Conv2D(16, 3)]) for _ in range(2))
    x = random_kernel(32, 8, 8, 16)
    pupil.compile(optimizer=KernelMuon(0.05), loss="mse", jit_compile=False)
    losses = pupil.fit(x, teacher(x).numpy(), epochs=40, batch_size=32, verbose=0).history["loss"]
    assert losses[-1] < 0.1 * losses[0]


OVER_WORKERS = """
import json, keras, tensorflow as tf
from models.optimizers import OverWorkers

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])
gradients = tf.constant([[4.0, 0.0], [0.0, 2.0]])

class Ours(OverWorkers, keras.optimizers.SGD):
    pass

for optimizer_class in (Ours, keras.optimizers.SGD):
    with strategy.scope():
        variable = keras.Variable([0.0, 0.0])
        optimizer = optimizer_class(1.0, clipnorm=1.0)
        optimizer.build([variable])

    @tf.function
    def step():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer.apply([gradients[replica]], [variable])

    strategy.run(step)
    print(json.dumps(variable.numpy().tolist()))
"""


def test_gradients_of_all_workers_are_averaged_before_they_are_clipped() -> None:
    done = subprocess.run([sys.executable, "-c", OVER_WORKERS], capture_output=True, text=True, check=True)
    ours, of_keras = (json.loads(line) for line in done.stdout.splitlines())
    # The mean, [2, 1], is longer than 1, and becomes a unit vector.
    np.testing.assert_allclose(ours, -np.array([2, 1]) / np.sqrt(5), rtol=1e-5)
    # Keras clips what each worker found, and adds up: the reason why the optimizers have their own way.
    np.testing.assert_allclose(of_keras, [-1, -1], rtol=1e-5)
