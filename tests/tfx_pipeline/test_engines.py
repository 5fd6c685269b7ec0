import re
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from easel.cli import app
from models.learning.settings import ConfigError
from tfx_pipeline.engines import IN_PROCESS, beam_args, check_job_server, check_trains_alone, is_in_process

EXTERNAL = ("environment_type=EXTERNAL", "environment_config=10.0.0.2:50000")


def test_beam_works_in_this_process_unless_told_otherwise() -> None:
    assert beam_args() == IN_PROCESS
    assert beam_args("DirectRunner", ["direct_num_workers=2"]) == (*IN_PROCESS, "--direct_num_workers=2")


def test_options_reach_beam_as_they_are() -> None:
    args = beam_args("PortableRunner", ["job_endpoint=10.0.0.1:8099", *EXTERNAL, "--streaming"])
    assert args[0] == "--runner=PortableRunner"
    assert {"--job_endpoint=10.0.0.1:8099", "--environment_config=10.0.0.2:50000", "--streaming"} <= set(args)


def test_an_engine_takes_the_data_steps_out_of_this_process() -> None:
    assert is_in_process(beam_args("DirectRunner", ["direct_running_mode=multi_processing"]))
    assert not is_in_process(beam_args("PortableRunner", ["job_endpoint=10.0.0.1:8099", *EXTERNAL]))


def test_an_image_is_taken_where_one_is_given() -> None:
    args = beam_args("SparkRunner", ["spark_master_url=spark://s:7077", "sdk_container_image=easel:1"])
    assert [arg for arg in args if arg.startswith("--sdk_container_image")] == ["--sdk_container_image=easel:1"]


@pytest.mark.parametrize(
    ("runner", "options", "told"),
    [
        ("Flink", (), "There is no Beam runner 'Flink': choose one of DirectRunner, PortableRunner, FlinkRunner,"),
        ("DaskRunner", (), "There is no Beam runner 'DaskRunner'"),
        ("PortableRunner", EXTERNAL, "PortableRunner needs --beam-option job_endpoint=..."),
        ("DataflowRunner", ("project=p",), "DataflowRunner needs --beam-option region=... --beam-option temp_location"),
        ("PortableRunner", ("job_endpoint=a:1",), "PortableRunner starts workers, which need Easel: add --beam-option"),
        (
            "DirectRunner",
            ("runner=FlinkRunner",),
            "The Beam option runner is 'FlinkRunner': name it with --beam-runner",
        ),
    ],
)
def test_what_cannot_run_is_refused(runner: str, options: tuple[str, ...], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        beam_args(runner, options)


@pytest.mark.parametrize("endpoint", ["nowhere", "localhost:port"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=f"No Beam job server answers at '{endpoint}'"):
        check_job_server([f"--job_endpoint={endpoint}"])


def test_a_job_server_that_answers_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_job_server([f"--job_endpoint=127.0.0.1:{server.getsockname()[1]}"])


def test_a_run_on_a_server_that_does_not_answer_begins_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"
    options = ["--beam-runner", "PortableRunner", "--beam-option", f"job_endpoint={endpoint}"]
    options += [word for option in EXTERNAL for word in ("--beam-option", option)]
    done = CliRunner().invoke(app, ["run", "--data", str(tmp_path), "--root", str(tmp_path / "root"), *options])
    assert done.exit_code == 2
    assert f"No Beam job server answers at '{endpoint}'" in done.output
    assert not (tmp_path / "root").exists()


def test_a_run_of_one_process_refuses_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}}')
    with pytest.raises(ConfigError, match="TF_CONFIG names 3 workers, and `easel run` trains in this process alone"):
        check_trains_alone()
