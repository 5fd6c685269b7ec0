"""The models of the conformance cases, and the configuration that serves them.

`python tests/serving/conformance/served_models.py FOLDER` writes them for a server that runs elsewhere:

    tensorflow_model_server --port=8500 --rest_api_port=8501 --model_config_file=FOLDER/models.config \\
        --monitoring_config_file=FOLDER/monitoring.config --enable_grpc_healthcheck_service=true \\
        --allow_version_labels_for_unavailable_models=true
    pytest tests/serving/conformance --serving-address localhost:8500:8501
"""

import sys
from pathlib import Path

import tensorflow as tf

sys.path.append(str(Path(__file__).parents[1]))
from fake_models import echo, export, half_plus, spec

ODD_NAME = "m!#$%&'()*+,/:;=?@[]"


def with_signatures(folder: Path) -> Path:
    """y = 0.5x + 2, on tensors and on tf.Example, under several names."""
    module = tf.Module()

    def of_examples(addend: float) -> tf.types.experimental.PolymorphicFunction:
        @tf.function(input_signature=[spec(tf.string, "inputs", [None])])
        def parsed(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
            return {"outputs": 0.5 * x + addend}

        return parsed

    @tf.function(input_signature=[spec(tf.float32, "x")])
    def default(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": 0.5 * x + 2.0}

    return export(
        module, folder, serving_default=default, regress_x_to_y=of_examples(2.0), regress_x_to_y2=of_examples(3.0)
    )


def echo4(folder: Path) -> Path:
    dtypes = {"dbl_tensor": tf.float64, "float_tensor": tf.float32, "int_tensor": tf.int32, "str_tensor": tf.string}

    @tf.function(input_signature=[spec(dtype, name) for name, dtype in dtypes.items()])
    def default(
        dbl_tensor: tf.Tensor, float_tensor: tf.Tensor, int_tensor: tf.Tensor, str_tensor: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        given = {"dbl_tensor": dbl_tensor, "float_tensor": float_tensor}
        given |= {"int_tensor": int_tensor, "str_tensor": str_tensor}
        return {name: tf.identity(tensor) for name, tensor in given.items()}

    return export(tf.Module(), folder, serving_default=default)


EMITTED = {
    "cube": {"y": tf.reshape(tf.range(12), [2, 3, 2])},
    "bytes": {"str_tensor_bytes": tf.constant([["a", "b"], ["c", "d"]])},
    "texts": {"str_tensor": tf.constant([["a", "b"], ["c", "d"]])},
    "third": {"y": tf.constant([1 / 3, 0.1, 2.0, 9e6, 3e-5], tf.float32)},
    "third64": {"y": tf.constant([1 / 3, 0.1], tf.float64)},
    "complex": {"y": tf.constant([1j], tf.complex64)},
    "half": {"y": tf.constant([1.0], tf.half)},
    "brain": {"y": tf.constant([1.0], tf.bfloat16)},
    "five": {
        "a": tf.constant([1, 2]),
        "b": tf.constant([[0.5], [1.5]]),
        "c": tf.constant(["x", "y"]),
        "d": tf.constant([True, False]),
        "e": tf.constant([1, 2], tf.int64),
    },
    "empty": {"y": tf.zeros([0, 3])},
    "uneven": {"y": tf.zeros([0]), "z": tf.zeros([1])},
    "scalar": {"y": tf.constant(1.0)},
}


def emit(folder: Path) -> Path:
    """Ignore the input and return what the name of the signature says."""

    def constant(outputs: dict[str, tf.Tensor]) -> tf.types.experimental.PolymorphicFunction:
        def emitted(x: tf.Tensor) -> dict[str, tf.Tensor]:
            with tf.control_dependencies([tf.identity(x)]):
                return {name: tf.identity(value) for name, value in outputs.items()}

        return tf.function(emitted, input_signature=[spec(tf.int32, "x")])

    functions = {name: constant(outputs) for name, outputs in EMITTED.items()}
    module = tf.Module()
    module.functions = functions
    return export(module, folder, **functions)


def counter(folder: Path) -> Path:
    """Count the rows that were asked for since it was loaded, and say how many there were before."""
    module = tf.Module()
    module.count = tf.Variable(0.0)

    @tf.function(input_signature=[spec(tf.float32, "delta", [None])])
    def incr_counter_by(delta: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"output": tf.fill(tf.shape(delta), module.count.assign_add(tf.reduce_sum(delta)))}

    @tf.function(input_signature=[spec(tf.string, "inputs", [None])])
    def of_examples(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": tf.fill(tf.shape(inputs), module.count.assign_add(tf.cast(tf.size(inputs), tf.float32)))}

    return export(module, folder, serving_default=incr_counter_by, of_examples=of_examples)


def slow(folder: Path) -> Path:
    """Take as long as the longest of the rows asks for, and tell how many rows there were."""

    def waited(seconds: tf.Tensor) -> tf.Tensor:
        end = tf.timestamp() + tf.cast(tf.reduce_max(seconds), tf.float64)
        return tf.while_loop(lambda now: now < end, lambda now: [tf.timestamp()], [tf.timestamp()])[0]

    @tf.function(input_signature=[spec(tf.float32, "x"), spec(tf.float32, "seconds", [None])])
    def default(x: tf.Tensor, seconds: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([waited(seconds)]):
            return {"y": x * 2.0, "rows": tf.fill(tf.shape(seconds), tf.size(seconds))}

    @tf.function(input_signature=[spec(tf.float32, "x", [None])])
    def total(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.reduce_sum(x)}

    @tf.function(input_signature=[spec(tf.float32, "x", [None])])
    def longer(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.concat([x, x], 0)}

    @tf.function(input_signature=[spec(tf.float32, "x", [None])])
    def picky(x: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.debugging.assert_less(x, 10.0, message="x must be below 10")]):
            return {"y": x * 2.0, "rows": tf.fill(tf.shape(x), tf.size(x))}

    return export(tf.Module(), folder, serving_default=default, total=total, longer=longer, picky=picky)


def compiled(folder: Path) -> Path:
    @tf.function(jit_compile=True)
    def doubled(x: tf.Tensor) -> tf.Tensor:
        return x * 2.0

    @tf.function(input_signature=[spec(tf.float32, "x", [None])])
    def default(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": doubled(x)}

    return export(tf.Module(), folder, serving_default=default)


def write_all(root: Path) -> Path:
    """Write every model and the files of flags; return the file that lists the models."""
    half_plus(root / "half_plus_two" / "00000123", 2.0)
    half_plus(root / "half_plus_two" / "124", 3.0)
    half_plus(root / "half_plus_three" / "1", 3.0)
    (root / "odd" / "1").parent.mkdir()
    (root / "odd" / "1").symlink_to(root / "half_plus_three" / "1")
    for make in (with_signatures, echo, echo4, emit, counter, slow, compiled):
        make(root / make.__name__ / "1")
    labels = '  model_version_policy { all {} }\n  version_labels { key: "stable" value: 123 }\n'
    entries = [entry("half_plus_two", root / "half_plus_two", labels + '  version_labels { key: "canary" value: 124 }')]
    names = ("half_plus_three", "with_signatures", "echo", "echo4", "emit", "counter", "slow", "compiled")
    entries += [entry(name, root / name) for name in names] + [entry(ODD_NAME, root / "odd")]
    (root / "monitoring.config").write_text("prometheus_config { enable: true }\n")
    (root / "models.config").write_text(config(*entries))
    return root / "models.config"


def entry(name: str, base_path: Path | str, more: str = "") -> str:
    return f'config {{\n  name: "{name}"\n  base_path: "{base_path}"\n  model_platform: "tensorflow"\n{more}\n}}\n'


def config(*entries: str) -> str:
    return "model_config_list {\n" + "".join(entries) + "}\n"


if __name__ == "__main__":
    print(write_all(Path(sys.argv[1]).resolve()))
