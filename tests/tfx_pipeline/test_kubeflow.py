"""The pipeline compiled for Kubeflow: read by Kubeflow's loader, and run task by task as its launcher would."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp.components import load_component_from_file
from tfx.utils.import_utils import import_class_by_path

import tfx_pipeline
from tfx_pipeline import kubeflow
from tfx_pipeline.config import RunConfig, load_config
from tfx_pipeline.datasets.shapes import write_shapes
from tfx_pipeline.kubeflow import as_path, as_url, compile_pipeline, task_name
from tfx_pipeline.local_run import source_of
from tfx_pipeline.pipeline import Source, create_pipeline
from tfx_pipeline.runs.root import Root

REPOSITORY = Path(__file__).parents[2]
IMAGE = "registry.example/easel:1"
COMMAND = ["python", "-m", "tfx_pipeline.kubeflow"]


def compiled(folder: Path, root: str = "/gcs/mine/easel", **options: str) -> list[Any]:
    """The YAML documents of a pipeline whose data nobody looks at."""
    made = create_pipeline(Root(Path(root)), Source(Path("/gcs/mine/data"), "abc"), RunConfig(), history=False)
    compile_pipeline(made, IMAGE, folder / "pipeline.yaml", **options)
    return list(yaml.safe_load_all((folder / "pipeline.yaml").read_text(encoding="utf-8")))


def test_kubeflow_reads_what_is_compiled(tmp_path: Path) -> None:
    (spec,) = compiled(tmp_path)
    loaded = load_component_from_file(str(tmp_path / "pipeline.yaml"))
    assert (loaded.name, loaded.pipeline_spec.default_pipeline_root) == ("easel", "gs://mine/easel/pipeline")
    assert set(loaded.pipeline_spec.root.dag.tasks) == set(spec["root"]["dag"]["tasks"])


def test_every_task_runs_the_image(tmp_path: Path) -> None:
    (spec,) = compiled(tmp_path)
    containers = [executor["container"] for executor in spec["deploymentSpec"]["executors"].values()]
    assert {container["image"] for container in containers} == {IMAGE}
    assert [container["command"] for container in containers] == [COMMAND] * len(spec["root"]["dag"]["tasks"])


def test_names_are_such_as_kubernetes_takes(tmp_path: Path) -> None:
    (spec,) = compiled(tmp_path)
    names = list(spec["root"]["dag"]["tasks"])
    assert "trainer-language-model" in names
    assert [name for name in names if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name)] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("FolderExampleGen", "folder-example-gen"), ("Trainer.language_model", "trainer-language-model")],
)
def test_task_names(name: str, expected: str) -> None:
    assert task_name(name) == expected


@pytest.mark.parametrize("name", tfx_pipeline.ARTIFACTS)
def test_own_artifacts_are_found_by_what_kubeflow_writes_down(name: str) -> None:
    path = f"tfx_pipeline.{name}"
    assert [path] == [import_class_by_path(path).TYPE_NAME]


def test_a_claim_is_mounted_by_every_task(tmp_path: Path) -> None:
    spec, platform = compiled(tmp_path, claim="pictures", mount="/mnt/easel")
    mounts = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(mounts) == set(spec["deploymentSpec"]["executors"])
    assert all(item == {"pvcMount": [{"constant": "pictures", "mountPath": "/mnt/easel"}]} for item in mounts.values())


def test_without_a_bucket_the_cluster_decides_where_artifacts_lie(tmp_path: Path) -> None:
    (spec,) = compiled(tmp_path, root="/mnt/easel")
    assert "defaultPipelineRoot" not in spec


@pytest.mark.parametrize("url", ["gs://mine/x", "s3://mine/x", "minio://mine/x"])
def test_a_place_in_a_bucket_is_a_folder_and_back(url: str) -> None:
    assert as_path(url).startswith("/")
    assert as_url(as_path(url)) == url
    assert as_path("/mnt/x") == as_url("/mnt/x") == "/mnt/x"


def test_the_image_holds_all_that_the_tasks_import() -> None:
    lines = (REPOSITORY / "tfx_pipeline/deploy/Containerfile").read_text(encoding="utf-8").splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in shlex.split(line)[1:-1]
    ]
    assert [name for name in copied if not (REPOSITORY / name).exists()] == []
    assert {"models", "serving", "tfx_pipeline", "pyproject.toml", "uv.lock"} <= set(copied)
    lock = (REPOSITORY / "uv.lock").read_text(encoding="utf-8")
    (beam,) = re.findall(r'name = "apache-beam"\nversion = "(.*)"', lock)
    assert any(line.startswith(f"FROM apache/beam_python3.11_sdk:{beam} ") for line in lines)


class Launcher:
    """What Kubeflow's launcher does for each task, with a folder in the place of a bucket."""

    def __init__(self, spec: dict[str, Any], outputs: Path) -> None:
        self.spec = spec
        self.outputs = outputs
        self.made: dict[tuple[str, str], dict[str, Any]] = {}

    def run(self, name: str) -> int:
        """Run a task with what those before it left."""
        task = self.spec["root"]["dag"]["tasks"][name]
        component = self.spec["components"][task["componentRef"]["name"]]
        container = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        described = json.dumps(self.described(name, task, component))
        code = kubeflow.execute([word.replace("{{$}}", described) for word in container["args"]])
        if code == 0:
            told = json.loads((self.outputs / name).read_text(encoding="utf-8"))
            for key, found in told["artifacts"].items():
                before = self.made[name, key]
                self.made[name, key] = before | found["artifacts"][0] | {"type": before["type"]}
        return code

    def described(self, name: str, task: dict[str, Any], component: dict[str, Any]) -> dict[str, Any]:
        """The description of a task, as protocol buffers' ExecutorInput."""
        inputs = task.get("inputs", {})
        read = {key: item["taskOutputArtifact"] for key, item in inputs.get("artifacts", {}).items()}
        written = component.get("outputDefinitions", {}).get("artifacts", {})
        for key, item in written.items():
            uri = f"gs://bucket/run/{name}/{key}"
            self.made[name, key] = {"name": f"{name}.{key}", "type": item["artifactType"], "uri": uri}
        return {
            "inputs": {
                "parameterValues": {
                    key: item["runtimeValue"]["constant"] for key, item in inputs.get("parameters", {}).items()
                },
                "artifacts": {
                    key: {"artifacts": [self.made[item["producerTask"], item["outputArtifactKey"]]]}
                    for key, item in read.items()
                },
            },
            "outputs": {
                "artifacts": {key: {"artifacts": [self.made[name, key]]} for key in written},
                "outputFile": str(self.outputs / name),
            },
        }


def in_order(tasks: dict[str, Any]) -> list[str]:
    """Tasks after those that they depend on."""
    ordered: list[str] = []
    while len(ordered) < len(tasks):
        ordered += [
            name
            for name, task in tasks.items()
            if name not in ordered and set(task.get("dependentTasks", [])) <= set(ordered)
        ]
    return ordered


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_compiled_tasks_push_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shapes").mkdir()
    write_shapes(tmp_path / "shapes", count=200, size=32, seed=0)
    config, root = load_config("quick", Path(__file__).with_name("tiny.toml")), Root(tmp_path / "root")
    root.path.mkdir()
    made = create_pipeline(root, source_of(tmp_path / "shapes", config), config, history=False)
    compile_pipeline(made, IMAGE, tmp_path / "pipeline.yaml")
    spec = yaml.safe_load((tmp_path / "pipeline.yaml").read_text(encoding="utf-8"))
    monkeypatch.setattr(kubeflow, "MOUNTS", {"gs://": f"{tmp_path}/gcs/"})
    launcher = Launcher(spec, tmp_path / "told")
    (tmp_path / "told").mkdir()
    for name in in_order(spec["root"]["dag"]["tasks"]):
        assert launcher.run(name) == 0, name
    assert {model.name: len(list(model.iterdir())) for model in root.pushed.iterdir()} == dict.fromkeys(
        ("language_model", "generator", "restorer", "text_to_image"), 1
    )
    assert {item["uri"].partition("/run/")[0] for item in launcher.made.values()} == {"gs://bucket"}
