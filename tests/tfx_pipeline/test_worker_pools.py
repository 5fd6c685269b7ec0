"""The data steps on two worker pools, each on a machine of its own, beside the direct runner."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import tensorflow as tf
from google.protobuf import text_format
from machines import Cluster, cluster
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList

from tfx_pipeline.config import RunConfig
from tfx_pipeline.datasets.shapes import write_shapes
from tfx_pipeline.engines import IN_PROCESS, beam_args
from tfx_pipeline.local_run import execute, narrated, source_of
from tfx_pipeline.pipeline import bound, data_steps
from tfx_pipeline.runs.root import Root

DECIMALS = re.compile(r"\d+\.\d+(e[-+]?\d+)?")
EASEL = str(Path(sys.executable).with_name("easel"))

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="Install iproute2."),
]


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shapes"
    folder.mkdir()
    write_shapes(folder, count=400, size=32, seed=0)
    return folder


def run(data: Path, root: Path, made: Cluster) -> list[str]:
    """The command that trains on some data, with Beam on a cluster."""
    options = [f"--beam-option={option}" for option in made.options]
    return [EASEL, "run", "--data", str(data), "--root", str(root), "--beam-runner", "PortableRunner", *options]


def data_steps_of(data: Path, place: Path, beam: Sequence[str]) -> Path:
    """The root of the data steps alone."""
    root, config = Root(place), RunConfig()
    root.path.mkdir()
    with narrated(root, lambda line: None) as log:
        execute(bound(root, data_steps(root, source_of(data, config), config).nodes, beam), root, log)
    return root.path


@pytest.fixture(scope="module")
def far(shapes: Path, pools: Cluster) -> Path:
    return data_steps_of(shapes, shapes.parent / "far", beam_args("PortableRunner", pools.options))


@pytest.fixture(scope="module")
def near(shapes: Path) -> Path:
    return data_steps_of(shapes, shapes.parent / "near", IN_PROCESS)


def records(root: Path, artifact: str) -> dict[str, Counter[bytes]]:
    """The records of a component's splits, in no order."""
    found: dict[str, Counter[bytes]] = {}
    for split in sorted(root.glob(f"pipeline/{artifact}/*/Split-*")):
        files = sorted(map(str, split.iterdir()))
        compression = "GZIP" if files[0].endswith(".gz") else ""
        read = tf.data.TFRecordDataset(files, compression).as_numpy_iterator()
        found[split.name] = Counter(map(ordered, read))
    return found


def ordered(record: bytes) -> bytes:
    """An example whose features, which Transform writes as they come, are in the order of their names."""
    return tf.train.Example.FromString(record).SerializeToString(deterministic=True)


def contents(root: Path, pattern: str) -> list[bytes]:
    return [file.read_bytes() for file in sorted(root.glob(f"pipeline/{pattern}"))]


@pytest.mark.parametrize("artifact", ["FolderExampleGen/examples", "Transform/transformed_examples"])
def test_pools_write_the_same_records(far: Path, near: Path, artifact: str) -> None:
    ours, theirs = records(near, artifact), records(far, artifact)
    assert ours == theirs
    assert {split: sum(found.values()) for split, found in theirs.items()} == {"Split-eval": 60, "Split-train": 340}


def test_pools_find_the_same_vocabulary(far: Path, near: Path) -> None:
    pattern = "Transform/transform_graph/*/transform_fn/assets/pieces"
    assert contents(near, pattern)
    assert contents(far, pattern) == contents(near, pattern)


def schema(root: Path) -> Schema:
    """The schema, its parts in the order of their names: TFDV writes them as they come."""
    (content,) = contents(root, "SchemaGen/schema/*/schema.pbtxt")
    found = text_format.Parse(content, Schema())
    for parts in (found.feature, found.string_domain):
        parts.sort(key=lambda part: part.name)
    return found


def test_pools_find_the_same_schema(far: Path, near: Path) -> None:
    assert schema(near).feature
    assert schema(far) == schema(near)


def statistics(root: Path) -> list[str]:
    """The statistics of each split, features by name, with the twelve digits that no order of adding changes."""
    told = []
    for content in contents(root, "StatisticsGen/statistics/*/Split-*/FeatureStats.pb"):
        found = DatasetFeatureStatisticsList.FromString(content)
        features = sorted(found.datasets[0].features, key=lambda feature: str(feature.path))
        told += [DECIMALS.sub(lambda number: f"{float(number[0]):.12g}", str(feature)) for feature in features]
    return told


def test_pools_find_the_same_statistics(far: Path, near: Path) -> None:
    assert statistics(near)
    assert statistics(far) == statistics(near)


def test_both_machines_worked(far: Path, pools: Cluster) -> None:
    assert [log.read_text(encoding="utf-8").count("Starting worker") > 2 for log in pools.logs] == [True, True]


@pytest.mark.parametrize("victim", ["worker", "machine"])
def test_a_run_whose_worker_is_killed_fails_and_leaves_no_output(shapes: Path, tmp_path: Path, victim: str) -> None:
    with cluster(tmp_path, first=8) as made:
        second = made.machines[1]
        before = second.processes()
        with subprocess.Popen(run(shapes, tmp_path / "root", made), stderr=subprocess.PIPE, text=True) as running:
            while not list((tmp_path / "root").glob("pipeline/FolderExampleGen/examples/*/beam-temp-*")):
                assert running.poll() is None
                time.sleep(0.02)
            for process in second.processes() - (before if victim == "worker" else set()):
                os.kill(process, signal.SIGKILL)
            _, said = running.communicate(timeout=600)
    assert running.returncode == 1
    assert said.splitlines()[-1].startswith("FolderExampleGen failed: ")
    assert list((tmp_path / "root").glob("pipeline/*/*/*/Split-*/*")) == []
