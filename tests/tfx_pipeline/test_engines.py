import re
import socket
from pathlib import Path

import apache_beam
import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions
from typer.testing import CliRunner

from easel.cli import app
from models.learning.cluster import Cluster
from models.learning.settings import ConfigError, LearningConfig
from tfx_pipeline.engines import (
    IN_PROCESS,
    beam_args,
    check_batches,
    check_job_server,
    is_in_process,
    training_cluster,
    worker_address,
)

REPOSITORY = Path(__file__).parents[2]
EXTERNAL = ("environment_type=EXTERNAL", "environment_config=10.0.0.2:50000")


def test_beam_works_in_this_process_unless_told_otherwise() -> None:
    assert beam_args() == IN_PROCESS
    assert beam_args("DirectRunner", ["direct_num_workers=2"]) == (*IN_PROCESS, "--direct_num_workers=2")


def test_options_reach_beam_as_they_are() -> None:
    args = beam_args("PortableRunner", ["job_endpoint=10.0.0.1:8099", *EXTERNAL, "--streaming"])
    assert args[0] == "--runner=PortableRunner"
    assert {"--job_endpoint=10.0.0.1:8099", "--environment_config=10.0.0.2:50000", "--streaming"} <= set(args)


def test_beam_reads_the_options_of_an_engine() -> None:
    args = beam_args("FlinkRunner", ["flink_master=10.0.0.1:8081", "flink_version=1.19", *EXTERNAL])
    options = PipelineOptions(list(args))
    flink, workers = options.view_as(FlinkRunnerOptions), options.view_as(PortableOptions)
    assert (flink.flink_master, flink.flink_version) == ("10.0.0.1:8081", "1.19")
    assert (workers.environment_type, workers.environment_config) == ("EXTERNAL", "10.0.0.2:50000")


def test_the_page_names_the_versions_that_beam_has_job_servers_for() -> None:
    page = (REPOSITORY / "docs/how-to/machines.md").read_text(encoding="utf-8")
    beam = apache_beam.__version__.rpartition(".")[0]
    assert f"versions that Beam {beam} supports |" in page
    assert f"| Flink | {', '.join(FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS)} |" in page
    assert {version.rpartition(".")[0] for version in re.findall(r"_job_server:(\S+)", page)} == {beam}


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


@pytest.fixture
def second_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """TF_CONFIG makes this machine the first worker beside a chief."""
    monkeypatch.setenv(
        "TF_CONFIG",
        '{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 0}}',
    )


def test_the_machines_are_those_that_a_command_names() -> None:
    assert training_cluster("a:1,b:2") == Cluster(("a:1", "b:2"), 0)


@pytest.mark.parametrize("named", ["", "a:1", "a:1,b", "a:1,,b:2", "a:1, b:2", "a:1,a:1"])
def test_machines_that_are_not_named_so_are_refused(named: str) -> None:
    with pytest.raises(ConfigError, match=r"--workers is .*: give HOST:PORT of this machine, then of the others"):
        training_cluster(named)


@pytest.mark.usefixtures("second_of_three")
def test_a_worker_is_told_what_to_run() -> None:
    with pytest.raises(
        ConfigError, match=r"worker 1 of the training: run `easel worker` here, and .* first machine, a:1"
    ):
        training_cluster()
    assert worker_address() == "b:1"


def test_a_worker_has_to_know_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert training_cluster() == Cluster()
    with pytest.raises(ConfigError, match="Which worker is this machine"):
        worker_address()
    monkeypatch.setenv("TF_CONFIG", str(Cluster(("a:1", "b:1"))))
    with pytest.raises(ConfigError, match="makes this machine the first of the training: run `easel run` here"):
        worker_address()


def test_batches_that_machines_cannot_share_are_refused() -> None:
    config = LearningConfig.model_validate({"drawing": {"network": "scenes", "scenes": {"batch_size": 26}}})
    check_batches(config, Cluster())
    check_batches(LearningConfig(), Cluster(("a:1", "b:1")))
    with pytest.raises(ConfigError, match=r"drawing.scenes.batch_size is 26, which 2 workers cannot share.* of 4\."):
        check_batches(config, Cluster(("a:1", "b:1")))
