from pathlib import Path
from types import SimpleNamespace

from serving.server.model_config import folder_configs
from serving.server.repository import Repository


def test_the_model_with_the_largest_graph_loads_first(tmp_path: Path) -> None:
    for name, size in {"a": 10, "b": 1000, "c": 100}.items():
        (tmp_path / name / "2").mkdir(parents=True)
        (tmp_path / name / "2" / "saved_model.pb").write_bytes(bytes(size))
    (tmp_path / "c" / "1").mkdir()
    (tmp_path / "d" / "3").mkdir(parents=True)
    loaded: list[tuple[str, int]] = []

    def load(name: str, version: int, folder: Path) -> SimpleNamespace:
        loaded.append((name, version))
        return SimpleNamespace(warmups=0)

    repository = Repository(load, announce=lambda line: None)  # type: ignore[arg-type]
    repository.configure(folder_configs(tmp_path))
    assert loaded == [("b", 2), ("c", 2), ("a", 2), ("d", 3)]
    assert repository.ready() == ["a", "b", "c", "d"]
