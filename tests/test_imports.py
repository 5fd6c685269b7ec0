import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOMS = ("models", "tfx_pipeline", "serving", "easel", "benchmarks")
ALLOWED_TO_MODELS = {"models", "numpy", "keras", "tensorflow", "tensorflow_text"} | set(sys.stdlib_module_names)
ALLOWED_TO_LEARNING = ALLOWED_TO_MODELS | {"pydantic", "pydantic_core", "rich", "PIL"}
FORBIDDEN = {
    "models": {"tfx_pipeline", "serving", "easel", "benchmarks", "tfx"},
    "tfx_pipeline": {"easel", "benchmarks"},
    "serving": {"tfx", "tfx_pipeline", "easel", "benchmarks", "models"},
}
LIGHT = {
    "easel.cli": {"tensorflow", "keras", "tfx", "apache_beam", "ml_metadata", "models"},
    "serving.studio.site": {"tensorflow", "keras", "tfx", "numpy"},
    "serving.images": {"tensorflow", "keras", "tfx", "models", "numpy"},
    "serving.client": {"tensorflow", "keras", "tfx", "models"},
    "tfx_pipeline.config": {"tensorflow", "keras", "tfx", "apache_beam"},
    "tfx_pipeline.datasets": {"tensorflow", "keras", "tfx", "apache_beam"},
    "tfx_pipeline.datasets.folder": {"tensorflow", "keras", "tfx", "apache_beam"},
    "tfx_pipeline.datasets.importing": {"tensorflow", "keras", "tfx", "apache_beam"},
    "tfx_pipeline.datasets.shapes": {"tensorflow", "keras", "tfx", "apache_beam"},
    "benchmarks.quality.judge": {"tensorflow", "keras", "tfx", "apache_beam"},
    "benchmarks.quality.noise": {"tensorflow", "keras", "tfx", "apache_beam"},
    "tfx_pipeline.runs.root": {"tensorflow", "keras", "tfx", "apache_beam"},
}


def files_of(room: str) -> list[str]:
    return sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / room).rglob("*.py"))


def imported(file: str) -> Iterator[str]:
    """The top-level packages that a file imports, at its top or within a function."""
    for node in ast.walk(ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield str(node.module).partition(".")[0]


@pytest.mark.parametrize("file", files_of("models"))
def test_models_import_arrays_and_networks_alone(file: str) -> None:
    allowed = ALLOWED_TO_LEARNING if file.startswith("models/learning/") else ALLOWED_TO_MODELS
    assert set(imported(file)) <= allowed


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_import_one_way(room: str) -> None:
    crossing = {file: set(imported(file)) & FORBIDDEN[room] for file in files_of(room)}
    assert {file: names for file, names in crossing.items() if names} == {}


def test_every_room_has_files() -> None:
    assert [room for room in ROOMS if not files_of(room)] == []


@pytest.mark.parametrize(("module", "heavy"), LIGHT.items(), ids=list(LIGHT))
def test_light_modules_import_nothing_heavy(module: str, heavy: set[str]) -> None:
    program = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & heavy == set()


def test_the_client_repeats_the_models_temperature() -> None:
    """Leaving the temperature out and naming the default must draw the same picture; serving imports no models."""
    models = importlib.import_module("models.language_model")
    assert importlib.import_module("serving.client").TEMPERATURE == models.TEMPERATURE
