"""The files for the real server: each is read by what the embedded server reads it with, or against its schema."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import models as schema

from serving.server.batching_parameters import Parameters
from serving.server.model_config import read_configs
from serving.server.settings import Settings, settings_from
from serving.server.text_protos import read_text_proto
from serving.wire.config_pb2 import BatchingParameters, MonitoringConfig

DEPLOY = Path(__file__).parents[2] / "serving" / "deploy"
MODELS = {"text_to_image", "language_model", "generator", "restorer"}


def parsed(flags: list[str]) -> Settings:
    return settings_from(flags, "tensorflow_model_server", None)


def test_models_are_those_that_are_pushed() -> None:
    configs = read_configs(DEPLOY / "models.config")
    assert set(configs) == MODELS
    assert {config.base_path for config in configs.values()} == {f"/models/{name}" for name in MODELS}
    assert configs["text_to_image"].model_version_policy.latest.num_versions == 2


def test_batching_parameters() -> None:
    parameters = Parameters.from_proto(read_text_proto(DEPLOY / "batching_parameters.config", BatchingParameters))
    assert parameters.max_batch_size > 1
    assert parameters.batch_timeout_micros == 0


def test_monitoring() -> None:
    config = read_text_proto(DEPLOY / "monitoring.config", MonitoringConfig).prometheus_config
    assert config.enable
    assert config.path == "/monitoring/prometheus/metrics"


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


@pytest.mark.parametrize("name", sorted(compose()))
def test_services_of_compose(name: str) -> None:
    service = compose()[name]
    settings = parsed(service["command"])
    assert service["image"].startswith("tensorflow/serving:")
    assert settings.xla_cpu_compilation_enabled == (name == "serving-xla")
    assert ("devices" in str(service.get("deploy"))) == (name == "serving-gpu")
    mounts = dict(reversed(volume.rsplit(":", 2)[:2]) for volume in service["volumes"])
    assert set(mounts) == {"/models", "/config"}
    for file in (settings.model_config_file, settings.batching_parameters_file, settings.monitoring_config_file):
        assert (DEPLOY / file.relative_to("/config")).is_file()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_every_service_of_compose_has_a_profile_of_its_own() -> None:
    profiles = [service["profiles"] for service in compose().values()]
    assert sorted(profiles) == [["cpu"], ["cpu-xla"], ["gpu"]]


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()))


def stable() -> dict[str, Any]:
    (deployment,) = documents("base/deployment.yaml")
    return deployment


def canary() -> dict[str, Any]:
    """The stable deployment with the patches of the canary, each of which must replace something."""
    (overlay,) = documents("canary/kustomization.yaml")
    deployment = copy.deepcopy(stable())
    deployment["metadata"]["name"] += overlay["nameSuffix"]
    (patch,) = overlay["patches"]
    assert patch["target"] == {"kind": "Deployment", "name": stable()["metadata"]["name"]}
    for change in yaml.safe_load(patch["patch"]):
        *way, last = change["path"].strip("/").split("/")
        place: Any = deployment
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        assert change["op"] == "replace"
        assert last in place
        place[last] = change["value"]
    return deployment


KINDS = {
    "Deployment": "V1Deployment",
    "Service": "V1Service",
    "HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
    "PodDisruptionBudget": "V1PodDisruptionBudget",
}


def check(value: Any, kind: str, where: str) -> None:
    """Hold a value against Kubernetes' own schema: names, nesting, and whether it is a list, an object or neither."""
    if kind.startswith("list["):
        assert isinstance(value, list), where
        for position, each in enumerate(value):
            check(each, kind[5:-1], f"{where}[{position}]")
    elif kind.startswith("dict("):
        assert isinstance(value, dict), where
    elif hasattr(schema, kind):
        model = getattr(schema, kind)
        types = {model.attribute_map[name]: type_ for name, type_ in model.openapi_types.items()}
        assert isinstance(value, dict), where
        assert set(value) <= set(types), f"{where} has no {sorted(set(value) - set(types))}"
        for name, each in value.items():
            check(each, types[name], f"{where}.{name}")
    elif kind in ("str", "int", "bool"):
        assert isinstance(value, {"str": str, "int": int, "bool": bool}[kind]), where


@pytest.mark.parametrize(
    "manifest",
    [stable(), canary(), *documents("service.yaml")],
    ids=lambda each: each["kind"] + each["metadata"]["name"],
)
def test_manifests_fit_the_schema(manifest: dict[str, Any]) -> None:
    check(manifest, KINDS[manifest["kind"]], manifest["kind"])


@pytest.mark.parametrize("deployment", [stable(), canary()], ids=["stable", "canary"])
def test_deployments(deployment: dict[str, Any]) -> None:
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    settings = parsed(container["args"])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": settings.port, "rest": settings.rest_api_port}
    assert settings.enable_grpc_healthcheck_service
    assert container["livenessProbe"]["grpc"]["port"] == settings.port
    assert container["readinessProbe"]["httpGet"]["path"].rpartition("/")[2] in MODELS
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert pod["terminationGracePeriodSeconds"] > settings.rest_api_timeout_in_ms / 1000


def test_canary_stands_beside_the_stable_one() -> None:
    service, autoscaler, budget = documents("service.yaml")
    for deployment in (stable(), canary()):
        assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    names = [each["metadata"]["name"] for each in (stable(), canary())]
    assert names == ["easel-serving", "easel-serving-canary"]
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == names[0]
    assert budget["spec"]["selector"]["matchLabels"]["track"] == "stable"
    assert canary()["spec"]["selector"] != stable()["spec"]["selector"]


def test_kustomization_names_files_that_exist() -> None:
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    (generated,) = kustomization["configMapGenerator"]
    used = stable()["spec"]["template"]["spec"]["volumes"][1]["configMap"]["name"]
    assert generated["name"] == used
    for name in [*kustomization["resources"], *generated["files"]]:
        assert (DEPLOY / name).exists()
