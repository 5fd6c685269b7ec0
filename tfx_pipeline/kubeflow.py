"""The pipeline for Kubeflow Pipelines 2 and Vertex AI: its compilation, and the entry point of its containers.

Artifacts are in a bucket, which is mounted in every container by the convention of Kubeflow's SDK: `gs://bucket/x` is
`/gcs/bucket/x`, and likewise for S3 and MinIO. `python -m tfx_pipeline.kubeflow` translates between the two, so that
components read and write plain files as on one machine.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MOUNTS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}
EXECUTOR = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
INVOCATION = "--json_serialized_invocation_args"


def compile_pipeline(pipeline: Any, image: str, file: Path, *, claim: str = "", mount: str = "") -> int:
    """Compile a pipeline for Kubeflow, and check that Kubeflow's own loader can read it.

    Args:
        pipeline: A result of `create_pipeline` without history; its components are renamed.
        image: The image of all containers.
        file: The YAML file to write.
        claim: A PersistentVolumeClaim that every container mounts; none if empty.
        mount: The path of the mount.

    Returns:
        The number of tasks.
    """
    import yaml
    from kfp.components import load_component_from_file
    from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig

    for node in pipeline.components:
        node.with_id(task_name(node.id))
    settings = KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=["python", "-m", "tfx_pipeline.kubeflow"], use_pipeline_spec_2_1=True
    )
    spec = KubeflowV2DagRunner(settings).run(pipeline, write_out=False)["pipelineSpec"]
    bucket = as_url(pipeline.pipeline_info.pipeline_root)
    if bucket.startswith(tuple(MOUNTS)):
        spec["defaultPipelineRoot"] = bucket
    executors = spec["deploymentSpec"]["executors"]
    documents = [spec, *([mounting(executors, claim, mount)] if claim else [])]
    file.write_text(yaml.safe_dump_all(documents, sort_keys=True), encoding="utf-8")
    load_component_from_file(str(file))
    return len(executors)


def task_name(name: str) -> str:
    """A component's name in Kubernetes, such as `trainer-language-model`."""
    return re.sub(r"[._]", "-", re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name)).lower()


def mounting(executors: Sequence[str], claim: str, mount: str) -> dict[str, Any]:
    """The Kubernetes section of a compiled pipeline, in which every container mounts a claim."""
    mounts = {name: {"pvcMount": [{"constant": claim, "mountPath": mount}]} for name in executors}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": mounts}}}}


def as_path(text: str) -> str:
    """Translate the URL of a bucket to the path in a container; other texts are returned unchanged."""
    return swapped(text, MOUNTS.items())


def as_url(text: str) -> str:
    """Translate the path in a container to the URL of a bucket; other texts are returned unchanged."""
    return swapped(text, [(folder, scheme) for scheme, folder in MOUNTS.items()])


def swapped(text: str, pairs: Any) -> str:
    """Replace the beginning of a text, if it is the first of a pair, by the second."""
    return next((new + text.removeprefix(old) for old, new in pairs if text.startswith(old)), text)


def translated(value: Any, translate: Any) -> Any:
    """Translate all strings under the keys `uri` and `outputFile` of a JSON value."""
    if isinstance(value, list):
        return [translated(item, translate) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: translate(item) if key in ("uri", "outputFile") else translated(item, translate)
        for key, item in value.items()
    }


def execute(arguments: list[str]) -> int:
    """Run one component in its container, with TFX's own entry point.

    Args:
        arguments: The arguments in the compiled pipeline, with Kubeflow's description of the task.

    Returns:
        The exit code.
    """
    where = arguments.index(INVOCATION) + 1
    task = translated(json.loads(arguments[where]), as_path)
    for artifact in every_output(task):
        Path(artifact["uri"]).parent.mkdir(parents=True, exist_ok=True)
    local = [*arguments[:where], json.dumps(task), *arguments[where + 1 :]]
    done = subprocess.run([sys.executable, "-m", EXECUTOR, *local], check=False)
    output = Path(task["outputs"]["outputFile"])
    if done.returncode == 0:
        answer = translated(json.loads(output.read_text(encoding="utf-8")), as_url)
        output.write_text(json.dumps(answer), encoding="utf-8")
    return done.returncode


def every_output(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The output artifacts of a task."""
    return [item for output in task["outputs"].get("artifacts", {}).values() for item in output["artifacts"]]


if __name__ == "__main__":
    sys.exit(execute(sys.argv[1:]))
