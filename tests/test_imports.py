import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOMS = ("models", "tfx_pipeline", "serving", "easel", "benchmarks")
ALLOWED_TO_MODELS = {"models", "numpy", "keras", "tensorflow", "tensorflow_text"} | set(sys.stdlib_module_names)
ALLOWED_TO_LEARNING = ALLOWED_TO_MODELS | {"pydantic", "pydantic_core", "rich", "PIL"}
WITH_TFX = ("components", "pipeline.py", "local_run.py", "kubeflow.py")
LIGHT = {
    "easel.cli": {"tensorflow", "keras", "tfx", "apache_beam", "ml_metadata", "numpy"},
    "serving.studio.site": {"tensorflow", "keras", "tfx", "numpy"},
    "serving.images": {"tensorflow", "keras", "tfx", "models", "numpy"},
    "serving.client": {"tensorflow", "keras", "tfx", "numpy"},
    "serving.local": {"tensorflow", "keras", "tfx", "numpy"},
    "serving.bundle.text": {"tensorflow", "keras", "tfx", "numpy"},
    "models.pretrained": {"tensorflow", "keras", "tfx", "numpy"},
    "serving.folders": {"tensorflow", "keras", "tfx", "numpy", "models"},
    "models.learning.settings": {"tensorflow", "keras", "tfx", "numpy"},
    "tfx_pipeline.config": {"tensorflow", "keras", "tfx", "apache_beam"},
    "tfx_pipeline.datasets": {"tensorflow", "keras", "tfx", "apache_beam"},
    "tfx_pipeline.datasets.folder": {"tensorflow", "keras", "tfx", "apache_beam"},
    "tfx_pipeline.datasets.importing": {"tensorflow", "keras", "tfx", "apache_beam"},
    "tfx_pipeline.datasets.shapes": {"tensorflow", "keras", "tfx", "apache_beam"},
    "benchmarks.quality.judge": {"tensorflow", "keras", "tfx", "apache_beam"},
    "benchmarks.quality.noise": {"tensorflow", "keras", "tfx", "apache_beam"},
    "tfx_pipeline.runs.root": {"tensorflow", "keras", "tfx", "apache_beam"},
    "tfx_pipeline.report": {"tfx"},
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
    allowed = allowed | {"jax"} if file == "models/backends/jax.py" else allowed
    assert set(imported(file)) <= allowed


def test_components_trainers_and_runners_alone_need_tfx() -> None:
    allowed = tuple(f"tfx_pipeline/{place}" for place in WITH_TFX)
    files = [file for room in ROOMS for file in files_of(room) if "tfx" in imported(file)]
    assert [file for file in files if not file.startswith(allowed)] == []


def test_every_room_has_files() -> None:
    assert [room for room in ROOMS if not files_of(room)] == []


def module_of(file: str) -> str:
    """The dotted name under which a file is imported."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(file): file for room in ROOMS for file in files_of(room)}
ROW = re.compile(r"^\| `([a-z_.]+)` \| (nothing|everything|`.*`) \|$", re.MULTILINE)


def imported_modules(file: str) -> set[str]:
    """The modules of this project that a file imports, at its top or within a function."""
    named: set[str] = set()
    for node in ast.walk(ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            named |= inner & set(MODULES) or {str(node.module)}
    return named & set(MODULES)


@cache
def allowed_parts() -> dict[str, set[str]]:
    """The table of CONTRIBUTING.md: for each part what it may import, `everything` being all that stands above it."""
    parts: dict[str, set[str]] = {}
    for part, named in ROW.findall((REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        parts[part] = set(parts) if named == "everything" else set(re.findall(r"`([a-z_.]+)`", named))
    return parts


def part_of(module: str) -> str:
    """The part of the table that a module belongs to."""
    return max((part for part in allowed_parts() if f"{module}.".startswith(f"{part}.")), key=len)


def imported_parts() -> Iterator[tuple[str, str]]:
    """Pairs of a part and another one that it imports."""
    for module, file in MODULES.items():
        yield from ((part_of(module), part_of(name)) for name in imported_modules(file))


def test_each_part_may_import_parts_above_it_alone() -> None:
    order = list(allowed_parts())
    below = {part: names - set(order[: order.index(part)]) for part, names in allowed_parts().items()}
    assert {part: names for part, names in below.items() if names} == {}


def test_parts_import_what_the_table_allows() -> None:
    crossing = {(part, other) for part, other in imported_parts() if other not in allowed_parts()[part] | {part}}
    assert crossing == set()


def test_the_table_allows_nothing_that_no_module_needs() -> None:
    allowed = {(part, other) for part, names in allowed_parts().items() for other in names}
    unneeded = {pair for pair in allowed - set(imported_parts()) if pair[0] not in ("benchmarks", "easel")}
    assert unneeded == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    order = list(TopologicalSorter({module: imported_modules(file) for module, file in MODULES.items()}).static_order())
    assert set(order) == set(MODULES)


@pytest.mark.parametrize(("module", "heavy"), LIGHT.items(), ids=list(LIGHT))
def test_light_modules_import_nothing_heavy(module: str, heavy: set[str]) -> None:
    program = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & heavy == set()
