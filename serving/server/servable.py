"""One loaded version of one model."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, get_native_id
from typing import NamedTuple, TypeVar

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from grpc import StatusCode
from tensorflow.core.framework import function_pb2, graph_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2, saved_model_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.framework.c_api_util import ScopedTFFunction
from tensorflow.python.saved_model import loader_impl
from tensorflow_serving.apis import predict_pb2

from serving.server import text_ops
from serving.server.errors import StatusError, as_status_error
from serving.server.signatures import DEFAULT_SIGNATURE, check_inputs, check_outputs, check_types, definition_of
from serving.server.tensors import from_proto, to_proto
from serving.server.warmup import warmup_requests

# TensorFlow optimizes a graph on its first call, in the calling thread: here the low-priority thread of the warm-up.
_IN_THIS_THREAD = config_pb2.RunOptions(inter_op_thread_pool=-1)

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})

Result = TypeVar("Result")


class Servable:
    """A loaded SavedModel; its memory is freed after the last request that uses it.

    It runs in a session, as in TensorFlow Serving: `tf.saved_model.load` would rebuild every function in Python, which
    would keep all requests waiting for seconds.

    Args:
        name: the name of the model.
        version: its version.
        folder: the folder that contains `saved_model.pb`.
        warmups: how often to run its recorded warm-up requests.
        xla: whether signatures that were exported with jit_compile may run; a flag in TensorFlow Serving.
        gives_way: warm up at low priority, because other requests are being answered.

    Raises:
        StatusError: the SavedModel cannot be read, or a warm-up request fails.

    """

    def __init__(
        self, name: str, version: int, folder: Path, *, warmups: int = 1, xla: bool = True, gives_way: bool = False
    ) -> None:
        self.name = name
        self.version = version
        self._xla = xla
        try:
            graph = _read_graph(folder)
            self.signature_defs = {name: _copied(each) for name, each in graph.signature_def.items()}
            self._compiled = _compiled(graph)
            text_ops.register(_operations(graph.graph_def))
            self._session = _loaded(folder, graph)
            self._graphs: dict[str, _Graph] = {}
            self._lock = Lock()
            warm_up = partial(self._warm_up, folder, warmups)
            self.warmups = _giving_way(warm_up) if gives_way else warm_up()
        except StatusError:
            raise
        except Exception as error:
            raise as_status_error(error) from error

    def run(
        self, signature: str, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Run a signature on checked inputs, and return its outputs, or only those wanted, by name.

        Raises:
            StatusError: the model fails.

        """
        if signature in self._compiled and not self._xla:
            raise StatusError(StatusCode.INTERNAL, f"XLA compilation disabled: {signature} was exported to need it")
        definition = definition_of(self.signature_defs, signature)
        try:
            graph = self._graph_of(signature)
            given = {**graph.defaults, **inputs}
            values = graph.run(*[given[name] for name in graph.inputs])
        except Exception as error:
            raise as_status_error(error) from error
        outputs = dict(zip(graph.outputs, values, strict=True))
        return {name: _array(outputs[name], definition.outputs[name].dtype) for name in wanted or outputs}

    def decode(self, request: predict_pb2.PredictRequest) -> tuple[str, dict[str, np.ndarray]]:
        """Return the signature of a request and its inputs, checked against it.

        Raises:
            StatusError: the model has no such signature, input or output, or a tensor is invalid.

        """
        signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
        definition = definition_of(self.signature_defs, signature)
        check_inputs(definition, request.inputs)
        check_types(definition, request.inputs)
        check_outputs(definition, request.output_filter)
        given = {name: from_proto(proto) for name, proto in request.inputs.items()}
        defaults = {name: from_proto(definition.defaults[name]) for name in set(definition.defaults) - set(given)}
        return signature, {**given, **defaults}

    def encode(
        self, signature: str, outputs: Mapping[str, np.ndarray], as_content: bool = False
    ) -> predict_pb2.PredictResponse:
        """Return the outputs of a signature as a message, in typed fields or in tensor_content."""
        response = predict_pb2.PredictResponse()
        response.model_spec.name = self.name
        response.model_spec.version.value = self.version
        response.model_spec.signature_name = signature
        for name, tensor in outputs.items():
            response.outputs[name].CopyFrom(to_proto(tensor, as_content=as_content))
        return response

    def answer(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Handle a request completely; errors are those of `decode` and `run`."""
        signature, inputs = self.decode(request)
        return self.encode(signature, self.run(signature, inputs, request.output_filter))

    def _graph_of(self, signature: str) -> "_Graph":
        """Return the function of a signature: the graph of the most general signature with the same outputs.

        TensorFlow optimizes a graph again for each set of inputs that is fed, which takes seconds.
        """
        with self._lock:
            if signature not in self._graphs:
                definition = self.signature_defs[signature]
                covering = {name for name, each in self.signature_defs.items() if _covers(each, definition)}
                widest = max(sorted(covering), key=lambda name: len(self.signature_defs[name].inputs))
                if widest not in self._graphs:
                    self._graphs[widest] = self._compiled_graph(self.signature_defs[widest])
                self._graphs[signature] = self._graphs[widest]
            return self._graphs[signature]

    def _compiled_graph(self, definition: meta_graph_pb2.SignatureDef) -> "_Graph":
        inputs, outputs = dict(definition.inputs), dict(definition.outputs)
        # `make_callable` would check inputs against static shapes, which TensorFlow Serving does not.
        options = config_pb2.CallableOptions(
            feed=[info.name for info in inputs.values()],
            fetch=[info.name for info in outputs.values()],
            run_options=_IN_THIS_THREAD,
        )
        run = self._session._make_callable_from_options(options)
        defaults = {name: from_proto(proto) for name, proto in definition.defaults.items()}
        return _Graph(run, tuple(inputs), tuple(outputs), defaults)

    def _warm_up(self, folder: Path, times: int) -> int:
        """Run the recorded warm-up requests and return their number."""
        requests = warmup_requests(folder, self.signature_defs) if times else []
        for request in requests:
            for _ in range(times):
                self.answer(request)
        return len(requests)


class _Graph(NamedTuple):
    """A function from inputs to outputs, both ordered by name, and the defaults for omitted inputs."""

    run: Callable[..., list[object]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    defaults: Mapping[str, np.ndarray]


def _covers(wide: meta_graph_pb2.SignatureDef, definition: meta_graph_pb2.SignatureDef) -> bool:
    """Whether a signature has all inputs and outputs of another, and a default for every other input."""
    inputs, outputs = _tensors(wide.inputs), _tensors(wide.outputs)
    taken = _tensors(definition.inputs)
    return (
        outputs == _tensors(definition.outputs)
        and taken.items() <= inputs.items()
        and inputs.keys() - taken.keys() <= set(wide.defaults)
    )


def _tensors(infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, str]:
    return {name: info.name for name, info in infos.items()}


def _loaded(folder: Path, meta_graph: meta_graph_pb2.MetaGraphDef) -> tf.compat.v1.Session:
    """Return a session with a graph and its variables; the functions are removed from the passed graph."""
    # The outermost graph only calls functions, which are optimized separately.
    rewriting = rewriter_config_pb2.RewriterConfig(disable_meta_optimizer=True)
    config = config_pb2.ConfigProto(graph_options=config_pb2.GraphOptions(rewrite_options=rewriting))
    config.gpu_options.allow_growth = True
    session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
    with session.graph.as_default(), _without_patterns(folder) as place:
        functions = _add_functions(session.graph, meta_graph.graph_def.library.function)
        meta_graph.graph_def.ClearField("library")
        for node in meta_graph.graph_def.node:
            # The static shapes are not used, and inferring them would hold Python's lock for a quarter of a second.
            if node.op in _CALLS:
                node.attr["_disable_call_shape_inference"].b = True
        saver = tf.compat.v1.train.import_meta_graph(meta_graph)
        if saver is not None:
            saver.restore(session, str(place / "variables" / "variables"))
        initialize = loader_impl.get_init_op(meta_graph)
        if initialize is not None:
            session.run([initialize], loader_impl.get_asset_tensors(str(place), meta_graph))
    session._extend_graph()
    # The session has its own copy from here on.
    with session.graph._c_graph.get() as c_graph:
        for name in functions:
            pywrap_tf_session.TF_GraphRemoveFunction(c_graph, name)
    return session


def _add_functions(graph: tf.Graph, functions: Iterable[function_pb2.FunctionDef]) -> list[str]:
    """Add functions to a graph one by one, and return their names.

    Importing them with the graph would hold Python's lock, which every request needs, and store more copies of each.
    """
    names = []
    for function in functions:
        for node in function.node_def:
            # Annotations of the exporter, which every copy of the graph would contain.
            node.attr.pop("_output_shapes", None)
        added = pywrap_tf_session.TF_FunctionImportFunctionDef(function.SerializeToString())
        scoped = ScopedTFFunction(added, function.signature.name)
        with graph._c_graph.get() as c_graph, scoped.get() as c_function:
            pywrap_tf_session.TF_GraphCopyFunction(c_graph, c_function, None)
        names.append(function.signature.name)
    return names


def _giving_way(work: Callable[[], Result]) -> Result:
    """Run work in a low-priority thread.

    The work should not hold Python's lock, because a thread that waits for the processor does not release it.
    """
    with ThreadPoolExecutor(1, "warm-up", initializer=_lower_priority) as thread:
        return thread.submit(work).result()


def _lower_priority() -> None:
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, get_native_id(), 10)


@contextmanager
def _without_patterns(folder: Path) -> Iterator[Path]:
    """Yield a path to a folder without the characters that TensorFlow reads as a pattern."""
    if not set("*?[\\").intersection(str(folder)):
        yield folder
        return
    with TemporaryDirectory() as place:
        link = Path(place) / "model"
        link.symlink_to(folder.absolute())
        yield link


def _array(value: object, dtype: int) -> np.ndarray:
    """Return an output as an array; sessions return single values as scalars."""
    return np.asarray(value, tf.as_dtype(dtype).as_numpy_dtype)


def _read_graph(folder: Path) -> meta_graph_pb2.MetaGraphDef:
    path = folder / "saved_model.pb"
    if not path.is_file():
        missing = f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {folder}"
        raise StatusError(StatusCode.NOT_FOUND, missing)
    try:
        saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except DecodeError as error:
        raise StatusError(StatusCode.DATA_LOSS, f"Can't parse {path} as binary proto") from error
    for graph in saved.meta_graphs:
        if "serve" in graph.meta_info_def.tags:
            return graph
    raise StatusError(
        StatusCode.NOT_FOUND, f"Could not find meta graph def matching supplied tags: {{ serve }} in {path}"
    )


def _operations(graph: graph_pb2.GraphDef) -> set[str]:
    functions = {node.op for function in graph.library.function for node in function.node_def}
    return functions | {node.op for node in graph.node}


def _copied(signature: meta_graph_pb2.SignatureDef) -> meta_graph_pb2.SignatureDef:
    """Return a copy: a part of a message keeps the whole message in memory, here with the weights."""
    return meta_graph_pb2.SignatureDef.FromString(signature.SerializeToString())


def _compiled(graph: meta_graph_pb2.MetaGraphDef) -> set[str]:
    """Return the signatures with a function that XLA must compile."""
    if not any(map(_must_compile, graph.graph_def.library.function)):
        return set()
    return {name for name, each in graph.signature_def.items() if _needs_xla(graph.graph_def, each)}


def _must_compile(function: function_pb2.FunctionDef) -> bool:
    return "_XlaMustCompile" in function.attr and bool(function.attr["_XlaMustCompile"].b)


def _needs_xla(graph: graph_pb2.GraphDef, signature: meta_graph_pb2.SignatureDef) -> bool:
    """Whether the outputs of a signature depend on a function with jit_compile."""
    library = {function.signature.name: function for function in graph.library.function}
    nodes = {node.name: node for node in graph.node}
    outputs = {info.name.partition(":")[0] for info in signature.outputs.values()}
    waiting = {name for output in outputs if output in nodes for name in _functions_called(nodes[output])}
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        if name in library:
            if _must_compile(library[name]):
                return True
            waiting |= {called for node in library[name].node_def for called in _functions_called(node)} - seen
    return False


def _functions_called(node: object) -> set[str]:
    return {value.func.name for value in node.attr.values() if value.HasField("func")}  # type: ignore[attr-defined]
