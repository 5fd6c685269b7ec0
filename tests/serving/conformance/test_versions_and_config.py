"""Cases G and H: versions on disk, policies, labels, and configurations that change."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from asking import predict_request, refusal, states
from google.protobuf import text_format
from launching import EMBEDDED, Server, failed_start, launched, text_file
from served_models import config, entry
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture
def base(models: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of versions, each a link to one model."""

    def make(*versions: str) -> Path:
        for version in versions:
            (tmp_path / "base" / version).parent.mkdir(exist_ok=True)
            (tmp_path / "base" / version).symlink_to(models / "half_plus_three" / "1")
        return tmp_path / "base"

    return make


def reload_request(*entries: str) -> ReloadConfigRequest:
    return ReloadConfigRequest(config=text_format.Parse(config(*entries), ModelServerConfig()))


def reload(server: Server, *entries: str) -> None:
    response = server.stubs.model.HandleReloadConfigRequest(reload_request(*entries), timeout=60)
    assert response.status.error_code == 0


@pytest.fixture
def served(reloading: Server, models: Path) -> Iterator[Server]:
    yield reloading
    reload(reloading, entry("half_plus_two", models / "half_plus_two"))


@pytest.mark.parametrize(
    ("versions", "policy", "expected"),
    [
        pytest.param(["42", "17", "non_numerical_child"], "", [42], id="H01"),
        pytest.param(["17", "42"], "all {}", [17, 42], id="H03"),
        pytest.param(["42", "33", "30", "21", "17"], "latest { num_versions: 3 }", [30, 33, 42], id="H04"),
        pytest.param(["42", "30", "17"], "specific { versions: 17 versions: 30 }", [17, 30], id="H05"),
        pytest.param(["00017", "42"], "specific { versions: 17 }", [17], id="H06"),
        pytest.param(["20170111173521"], "", [20170111173521], id="H08"),
        pytest.param(["001", "0001", "00001"], "all {}", [1], id="H09"),
    ],
)
def test_policies(
    served: Server, base: Callable[..., Path], versions: list[str], policy: str, expected: list[int]
) -> None:
    name = f"policy_{versions[0]}_{expected[0]}"
    reload(served, entry(name, base(*versions), f"model_version_policy {{ {policy} }}"))
    assert states(served.stubs, name) == dict.fromkeys(expected, "AVAILABLE")


def test_H07_no_specific_version_is_none(served: Server, base: Callable[..., Path]) -> None:
    reload(served, entry("none", base("1", "2")))
    reload(served, entry("none", base(), "model_version_policy { specific {} }"))
    until(lambda: states(served.stubs, "none") == {2: "END"})


def test_G08_H20_load_unload_load(served: Server, base: Callable[..., Path], models: Path) -> None:
    other = entry("half_plus_two", models / "half_plus_two")
    for _ in range(2):
        reload(served, entry("again", base() if (base() / "1").exists() else base("1")), other)
        assert states(served.stubs, "again") == {1: "AVAILABLE"}
        reload(served, other)
        until(lambda: states(served.stubs, "again") == {1: "END"})
        assert refusal(served.stubs.prediction.Predict, predict_request("again", x=[1.0]))[0] == (
            grpc.StatusCode.NOT_FOUND
        )
    assert served.ask("/v1/models/again")[1]["model_version_status"][0]["status"]["error_code"] == "OK"


def test_G09_a_version_that_does_not_load(served: Server, base: Callable[..., Path]) -> None:
    folder = base("1")
    reload(served, entry("broken", folder))
    text_file(folder / "2", "saved_model.pb", "half a file")
    until(lambda: states(served.stubs, "broken").get(2) == "END")
    assert states(served.stubs, "broken") == {2: "END", 1: "AVAILABLE"}
    (newest, _) = served.ask("/v1/models/broken")[1]["model_version_status"]
    assert newest["status"]["error_code"] != "OK"
    assert newest["status"]["error_message"]
    assert served.ask("/v1/models/broken:predict", {"instances": [2.0]}) == (200, {"predictions": [4.0]})


def test_a_new_model_that_does_not_load_is_told(served: Server, tmp_path: Path) -> None:
    text_file(tmp_path / "1", "saved_model.pb", "half a file")
    code, details = refusal(served.stubs.model.HandleReloadConfigRequest, reload_request(entry("hopeless", tmp_path)))
    assert code == grpc.StatusCode.UNKNOWN
    assert "1 model(s) did not become available: {{{name: hopeless version: 1} due to error: DATA_LOSS: " in details


def test_H12_the_disk_is_polled_once(batching: Server) -> None:
    (batching.folder / "once" / "2").symlink_to(batching.folder / "once" / "1")
    time.sleep(2)
    assert states(batching.stubs, "once") == {1: "AVAILABLE"}


def test_H15_two_models(server: Server) -> None:
    assert server.ask("/v1/models/half_plus_two/versions/123:predict", {"instances": [2.0]})[1] == {
        "predictions": [3.0]
    }
    assert server.ask("/v1/models/half_plus_three:predict", {"instances": [2.0]})[1] == {"predictions": [4.0]}


def test_H16_malformed_config_file(command: str, tmp_path: Path) -> None:
    said = failed_start(command, [f"--model_config_file={text_file(tmp_path, 'models.config', 'improper')}"])
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in said


def test_H17_a_config_file_that_changes_is_read_again(served: Server, models: Path) -> None:
    file = served.folder / "models.config"
    three = config(entry("half_plus_three", models / "half_plus_three"))
    file.write_text(three)
    until(lambda: states(served.stubs, "half_plus_three") == {1: "AVAILABLE"})
    until(lambda: states(served.stubs, "half_plus_two") == {124: "END"})
    file.write_text("improper")
    time.sleep(2)
    assert states(served.stubs, "half_plus_three") == {1: "AVAILABLE"}


def test_H18_unless_the_poll_period_is_0(batching: Server) -> None:
    before = batching.folder / "models.config"
    before.write_text(config())
    time.sleep(2)
    assert states(batching.stubs, "half_plus_three") == {1: "AVAILABLE"}


PLATFORM = 'model_platform: "tensorflow"'


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        pytest.param(f'config {{ name: "m" base_path: "some/where" {PLATFORM} }}', "absolute path", id="H22"),
        pytest.param(
            'config { name: "m" base_path: "/m" model_platform: "torch" }', "unsupported platform", id="H23 unknown"
        ),
        pytest.param(
            f'config {{ name: "m" base_path: "/m" model_type: TENSORFLOW {PLATFORM} }}',
            "Illegal setting both",
            id="H24",
        ),
        pytest.param('config { name: "m" base_path: "/m" }', "Illegal setting neither", id="no platform"),
        pytest.param(
            f'config {{ name: "m" base_path: "/m" {PLATFORM} }} config {{ name: "m" base_path: "/n" {PLATFORM} }}',
            "Illegal to list model m multiple times",
            id="twice",
        ),
        pytest.param(
            'config { name: "half_plus_two" base_path: "/m" model_platform: "torch" }',
            "Illegal to change a model's platform",
            id="H23 changed",
        ),
    ],
)
def test_configs_that_are_refused(served: Server, listed: str, message: str) -> None:
    request = ReloadConfigRequest(config=text_format.Parse(f"model_config_list {{ {listed} }}", ModelServerConfig()))
    code, details = refusal(served.stubs.model.HandleReloadConfigRequest, request)
    assert code == INVALID
    assert message in details
    assert states(served.stubs, "half_plus_two")[124] == "AVAILABLE"


def labelled(models: Path, **labels: int) -> str:
    pairs = "".join(f'version_labels {{ key: "{label}" value: {version} }}\n' for label, version in labels.items())
    return entry("half_plus_two", models / "half_plus_two", f"model_version_policy {{ all {{}} }}\n{pairs}")


def ask_label(server: Server, label: str) -> int:
    response = server.stubs.prediction.Predict(predict_request("half_plus_two", label=label, x=[2.0]), timeout=30)
    return int(response.model_spec.version.value)


def test_B07_labels_move(served: Server, models: Path) -> None:
    reload(served, labelled(models))
    reload(served, labelled(models, stable=123, canary=124))
    assert (ask_label(served, "stable"), ask_label(served, "canary")) == (123, 124)
    reload(served, labelled(models, stable=124))
    assert ask_label(served, "stable") == 124
    message = predict_request("half_plus_two", label="canary", x=[2.0])
    assert "Unrecognized servable version label" in refusal(served.stubs.prediction.Predict, message)[1]


def test_labels_of_versions_that_are_not_loaded_are_refused(served: Server, models: Path) -> None:
    request = reload_request(labelled(models, stable=999))
    code, details = refusal(served.stubs.model.HandleReloadConfigRequest, request)
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "not currently available for inference" in details


def test_H27_unless_a_flag_allows_new_ones(server: Server) -> None:
    """The first server started with labels, and so before any of their versions was loaded."""
    assert (ask_label(server, "stable"), ask_label(server, "canary")) == (123, 124)


def test_H29_no_rest_on_the_port_of_grpc(command: str, models: Path) -> None:
    flags = ["--model_name=half_plus_two", f"--model_base_path={models / 'half_plus_two'}"]
    with launched(command, flags, rest=False) as running:
        response = running.stubs.prediction.Predict(predict_request("half_plus_two", x=[2.0]), timeout=30)
        assert list(response.outputs["y"].float_val) == [4.0]


def test_H31_batching_parameters_without_batching(command: str, models: Path, tmp_path: Path) -> None:
    file = text_file(tmp_path, "batching.config", "max_batch_size { value: 4 }")
    flags = [f"--model_base_path={models / 'half_plus_two'}", f"--batching_parameters_file={file}"]
    said = failed_start(command, flags)
    assert "batching_parameters_file is set without setting" in said
    assert "INVALID_ARGUMENT" in said or command != EMBEDDED


LAST = "Last entry in allowed_batch_sizes must match max_batch_size; last entry was"
SPLIT = "enable_large_batch_splitting { value: true }"


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ("max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]", f"{LAST} 4; expected 8"),
        ("allowed_batch_sizes: [4]", f"{LAST} 4; expected 1000"),
        (
            f"{SPLIT} max_batch_size {{ value: 8 }} max_execution_batch_size {{ value: 4 }} allowed_batch_sizes: 4",
            f"{LAST} 4; expected 8",
        ),
        (
            f"max_batch_size {{ value: 4 }} max_execution_batch_size {{ value: 8 }} {SPLIT}",
            "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
            "max_execution_batch_size",
        ),
    ],
    ids=["last", "default", "splitting", "execution"],
)
def test_batching_parameters_that_contradict_each_other(
    command: str, models: Path, tmp_path: Path, parameters: str, told: str
) -> None:
    file = text_file(tmp_path, "batching.config", parameters)
    flags = [f"--model_base_path={models / 'half_plus_two'}", "--enable_batching", f"--batching_parameters_file={file}"]
    assert told in failed_start(command, flags)


def test_splitting_takes_allowed_sizes_beyond_an_execution(command: str, models: Path, tmp_path: Path) -> None:
    sizes = "max_batch_size { value: 8 } max_execution_batch_size { value: 2 } allowed_batch_sizes: [4, 8]"
    file = text_file(tmp_path, "batching.config", f"{sizes} {SPLIT}")
    flags = [f"--model_base_path={models / 'half_plus_two'}", "--enable_batching", f"--batching_parameters_file={file}"]
    with launched(command, ["--model_name=half_plus_two", *flags]) as running:
        values = [float(number) for number in range(8)]
        response = running.stubs.prediction.Predict(predict_request("half_plus_two", x=values), timeout=30)
        assert list(response.outputs["y"].float_val) == [0.5 * value + 3 for value in values]


def test_H32_a_first_model_that_does_not_load_ends_the_server(command: str, models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "half_plus_three" / "1", tmp_path / "base" / "1")
    (tmp_path / "base" / "1" / "saved_model.pb").write_bytes(b"half a file")
    said = failed_start(command, ["--model_name=broken", f"--model_base_path={tmp_path / 'base'}"])
    assert "1 model(s) did not become available" in said or command != EMBEDDED
