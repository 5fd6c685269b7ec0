"""Cases J: what runs as one batch, and what does not."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
from asking import predict_request, refusal
from launching import Server
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse


def request(*values: float, seconds: float = 0.0, outputs: tuple[str, ...] = ()) -> PredictRequest:
    x = np.array(values, np.float32)
    message = predict_request("slow", x=x, seconds=np.full(len(x), seconds, np.float32))
    message.output_filter.extend(outputs)
    return message


def together(server: Server, *messages: PredictRequest) -> list[Future[PredictResponse]]:
    """Send requests at once, in this order; every future is done."""
    calls = []
    for message in messages:
        calls.append(server.stubs.prediction.Predict.future(message, timeout=30))
        time.sleep(0.05)
    for call in calls:
        call.exception()
    return calls


def array(call: Future[PredictResponse], name: str) -> list[float]:
    return tf.make_ndarray(call.result().outputs[name]).tolist()


def test_J01_two_clients_share_a_batch(batching: Server) -> None:
    one, other = together(batching, request(1, 2), request(3, 4))
    assert (array(one, "y"), array(other, "y")) == ([2, 4], [6, 8])
    assert array(one, "rows") == array(other, "rows") == [4, 4]


def test_J02_J13_without_a_timeout_a_lone_request_runs_at_once(reloading: Server, models: object) -> None:
    start = time.monotonic()
    response = reloading.stubs.prediction.Predict(predict_request("half_plus_two", x=[1.0, 2.0]), timeout=30)
    assert list(response.outputs["y"].float_val) == [3.5, 4.0]
    assert time.monotonic() - start < 10.0


def test_J04_shapes_that_differ_fail_the_batch(batching: Server) -> None:
    flat = request(1, 2)
    deep = predict_request("slow", x=np.ones((2, 3), np.float32), seconds=np.zeros(2, np.float32))
    for call in together(batching, flat, deep):
        error = call.exception()
        assert isinstance(error, grpc.RpcError)
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "padding is turned off" in error.details()


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        pytest.param("total", "has 0 dimensions", id="J09 scalar"),
        pytest.param("longer", "does not equal the sum", id="J09 other rows"),
    ],
)
def test_outputs_that_cannot_be_shared_out(batching: Server, signature: str, message: str) -> None:
    code, details = refusal(
        batching.stubs.prediction.Predict, predict_request("slow", signature, x=np.ones(2, np.float32))
    )
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert message in details


def test_J10_requests_larger_than_a_batch(batching: Server) -> None:
    code, details = refusal(batching.stubs.prediction.Predict, request(1, 2, 3, 4, 5))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "Task size 5 is larger than maximum input batch size 4" in details


def test_J14_other_outputs_are_another_batch(batching: Server) -> None:
    one, other = together(batching, request(1, 2, outputs=("rows",)), request(3, 4, outputs=("rows", "y")))
    assert array(one, "rows") == array(other, "rows") == [2, 2]


def test_one_bad_request_fails_alone(batching: Server) -> None:
    good = predict_request("slow", "picky", x=np.array([1.0, 2.0], np.float32))
    bad = predict_request("slow", "picky", x=np.array([11.0, 12.0], np.float32))
    one, other = together(batching, good, bad)
    assert array(one, "y") == [2, 4]
    error = other.exception()
    assert isinstance(error, grpc.RpcError)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "x must be below 10" in error.details()


def test_a_full_queue_refuses_at_once(batching: Server) -> None:
    """One batch runs, two wait; what comes then is refused before any of them is done."""
    calls = together(batching, *[request(1, 2, 3, 4, seconds=1.0) for _ in range(4)])
    codes = [None if call.exception() is None else call.exception().code() for call in calls]  # type: ignore[union-attr]
    assert codes == [None, None, None, grpc.StatusCode.UNAVAILABLE]


def test_a_rest_call_that_is_late_in_the_queue(batching: Server) -> None:
    """It waits behind a batch that runs longer than REST's own timeout of a second."""
    running = batching.stubs.prediction.Predict.future(request(1, 2, 3, 4, seconds=2.0), timeout=30)
    time.sleep(0.2)
    code, answer = batching.ask("/v1/models/slow:predict", {"instances": [{"x": 1.0, "seconds": 0.0}]})
    assert (code, answer) == (429, {"error": "Run() timeout exceeded while waiting in batching queue"})
    assert array(running, "y") == [2, 4, 6, 8]
    code, answer = batching.ask("/v1/models/slow:predict", {"instances": [{"x": 1.0, "seconds": 0.0}]})
    assert (code, answer["predictions"][0]["y"]) == (200, 2.0)


def test_models_never_meet(batching: Server) -> None:
    def ask(number: int) -> tuple[str, list[float]]:
        model = "half_plus_three" if number % 2 else "with_signatures"
        response = batching.stubs.prediction.Predict(predict_request(model, x=[2.0]), timeout=30)
        return model, tf.make_ndarray(response.outputs["y"]).tolist()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(16)))
    assert {(model, *y) for model, y in answers} == {("half_plus_three", 4.0), ("with_signatures", 3.0)}
