import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

MODELS = Path(__file__).parents[2]
STEPS = 5
# Two updates a step, the second of which sees what the first did, as those of an adversarial phase do.
PROGRAM = f"""
import json, sys
if sys.argv[1] == "jax":
    sys.modules["tensorflow"] = None
import keras, numpy as np
from keras import ops
from models.training import Training, Update

def dense(width, seed):
    layer = keras.layers.Dense(width)
    layer.build((None, 3))
    layer.set_weights([np.random.default_rng(seed).normal(size=weight.shape) for weight in layer.weights])
    return layer

class Pair(Training):
    def __init__(self):
        super().__init__()
        self.first, self.second = dense(2, 1), dense(2, 2)
        self.other = keras.optimizers.SGD(0.1)
        self.other.build(self.second.trainable_variables)

    def updates(self):
        return [
            Update(self.of_first, self.first.trainable_variables, self.optimizer),
            Update(self.of_second, self.second.trainable_variables, self.other),
        ]

    def of_first(self, batch):
        loss = ops.mean((self.first(batch["x"]) - batch["y"]) ** 2)
        return loss, {{"first": loss}}

    def of_second(self, batch):
        loss = ops.mean((self.second(batch["x"]) - self.first(batch["x"])) ** 2)
        return loss, {{"second": loss}}

training = Pair()
training.compile(optimizer=keras.optimizers.SGD(0.1))
random = np.random.default_rng(0)
batch = {{"x": random.normal(size=(8, 3)).astype("float32"), "y": random.normal(size=(8, 2)).astype("float32")}}
history = training.fit(batch, batch_size=8, epochs={STEPS}, verbose=0, shuffle=False).history
print(json.dumps(history))
"""


def losses_on(backend: str) -> dict[str, list[float]]:
    env = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(MODELS)}
    command = [sys.executable, "-c", PROGRAM, backend]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_every_backend_takes_the_same_steps() -> None:
    on_tensorflow, on_jax = losses_on("tensorflow"), losses_on("jax")
    assert len(on_tensorflow["first"]) == STEPS
    assert on_tensorflow["first"][-1] < on_tensorflow["first"][0]
    for name in ("first", "second"):
        np.testing.assert_allclose(on_jax[name], on_tensorflow[name], rtol=1e-5)
