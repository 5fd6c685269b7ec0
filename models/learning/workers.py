"""Training on several machines that share every batch, with TensorFlow's MultiWorkerMirroredStrategy.

The environment variable `TF_CONFIG` lists them, in TensorFlow's format; without it this process is the only worker.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import keras
import tensorflow as tf

from models.device import device_policy
from models.learning.cluster import WorkerError, cluster_of_tf_config
from models.learning.inputs import Batches
from models.learning.settings import ConfigError

GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)
"""The errors that TensorFlow raises on the remaining workers when one has died."""


def new_strategy() -> tf.distribute.Strategy:
    """A strategy over all workers; if there are several, create it before TensorFlow computes anything."""
    if len(cluster_of_tf_config().workers) > 1:
        # It configures memory growth, which TensorFlow allows only before a strategy initializes the devices.
        device_policy()
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def worker_count() -> int:
    """The number of workers that share a batch in the current strategy's scope."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def is_chief() -> bool:
    """Whether this worker writes the files."""
    resolver = tf.distribute.get_strategy().cluster_resolver
    return resolver is None or resolver.task_type == "chief" or not resolver.task_id


@contextmanager
def watching_workers() -> Iterator[None]:
    """Convert the errors after the death of a worker to a sentence.

    Raises:
        WorkerError: A worker has died.
    """
    try:
        yield
    except GONE as error:
        raise WorkerError(
            f"A training worker is gone ({type(error).__name__}): restart it, then run the same command to resume from "
            "the last checkpoint."
        ) from None


def fit_together(
    model: keras.Model,
    batches: Batches,
    *,
    initial_epoch: int,
    epochs: int,
    steps_per_epoch: int,
    callbacks: list[keras.callbacks.Callback],
    **_: Any,
) -> None:
    """Keras' fit, with every batch distributed over the workers; Keras 3 has no fit for several workers.

    Raises:
        ConfigError: The batches cannot be divided evenly.
        WorkerError: A worker has died.
    """
    strategy = tf.distribute.get_strategy()
    shares = iter(strategy.distribute_datasets_from_function(lambda context: shared_out(batches, context)))

    @tf.function(reduce_retracing=True)
    def step(shares: Any) -> dict[str, tf.Tensor]:
        losses = strategy.run(model.train_step, args=(next(shares),))
        return {name: strategy.reduce(tf.distribute.ReduceOp.MEAN, loss, axis=None) for name, loss in losses.items()}

    callback_list = keras.callbacks.CallbackList(callbacks, model=model, epochs=epochs, steps=steps_per_epoch)
    model.stop_training = False
    callback_list.on_train_begin()
    for epoch in range(initial_epoch, epochs):
        callback_list.on_epoch_begin(epoch)
        for number in range(steps_per_epoch):
            callback_list.on_train_batch_begin(number)
            with watching_workers():
                losses = step(shares)
            callback_list.on_train_batch_end(number, losses)
        # A thread is outside the strategy; inside, all workers would have to create the variables of one's checkpoint.
        with ThreadPoolExecutor(1) as outside:
            outside.submit(
                callback_list.on_epoch_end, epoch, {name: float(loss) for name, loss in losses.items()}
            ).result()
        if model.stop_training:
            break
    model.optimizer.finalize_variable_values(model.trainable_variables)
    callback_list.on_train_end()


def check_start(epoch: int) -> None:
    """Compare the epoch from which this worker resumes with those of the others.

    Raises:
        WorkerError: They differ, for example because a network file system shows new files late.
    """
    strategy = tf.distribute.get_strategy()
    if worker_count() == 1:
        return

    @tf.function
    def mean() -> tf.Tensor:
        return strategy.reduce(tf.distribute.ReduceOp.MEAN, strategy.run(lambda: tf.constant(float(epoch))), axis=None)

    with watching_workers():
        agreed = float(mean()) == epoch
    if not agreed:
        # The first worker to end may end before the mean has reached the others; a second mean waits for them.
        with suppress(*GONE):
            mean()
        raise WorkerError(
            f"This worker would resume from epoch {epoch} and another one from a different epoch: make sure that "
            "all of them see the same checkpoint folder, then run the same command to resume."
        )


def shared_out(batches: Batches, context: tf.distribute.InputContext) -> tf.data.Dataset:
    """The part of every batch for one worker.

    Raises:
        ConfigError: The batches cannot be divided evenly.
    """
    workers, size = context.num_input_pipelines, batches.batch_size
    if size % (2 * workers):
        raise ConfigError(
            f"batch_size is {size}, which {workers} workers cannot share: give a multiple of {2 * workers}."
        )
    return batches.dataset(context.input_pipeline_id, workers)
