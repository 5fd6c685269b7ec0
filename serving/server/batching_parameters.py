"""The parameters of batching, with the names and defaults of TensorFlow Serving."""

import os
from dataclasses import dataclass, field

from serving.wire.config_pb2 import BatchingParameters


@dataclass(frozen=True)
class Parameters:
    """When a batch is full, when it has waited long enough, and how many may wait; defaults as TensorFlow Serving's.

    Raises:
        ValueError: values that make no sense together.

    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive; was {getattr(self, name)}")
        if self.batch_timeout_micros < 0:
            raise ValueError(f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}")
        # The rule and the words are TensorFlow Serving's, also with large batches split; it asks for no order.
        sizes = self.allowed_batch_sizes
        if sizes and sizes[-1] != self.max_batch_size:
            raise ValueError(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{sizes[-1]}; expected {self.max_batch_size}"
            )
        if self.largest_batch > self.max_batch_size:
            raise ValueError(
                "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
                f"max_execution_batch_size: max_batch_size is {self.max_batch_size}, and max_execution_batch_size "
                f"{self.largest_batch}"
            )

    @property
    def largest_batch(self) -> int:
        """The maximum number of rows that run at once."""
        splits = self.enable_large_batch_splitting and self.max_execution_batch_size
        return self.max_execution_batch_size if splits else self.max_batch_size

    @classmethod
    def from_proto(cls, proto: BatchingParameters) -> "Parameters":
        """Read the parameters of a file; what it leaves out keeps its default."""
        wrapped = [each for each, value in proto.ListFields() if each.message_type is not None]
        given = {each.name: getattr(proto, each.name).value for each in wrapped if each.name != "thread_pool_name"}
        sizes = tuple(proto.allowed_batch_sizes)
        return cls(**given, allowed_batch_sizes=sizes, pad_variable_length_inputs=proto.pad_variable_length_inputs)
