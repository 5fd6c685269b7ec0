"""Models at an address: what readers see of it at every moment, and the folder that a server keeps like it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from buckets import BUCKET, environment, s3
from typer.testing import CliRunner

from easel.cli import app
from easel.runs import publish
from serving.server.mirror import Mirror
from serving.server.settings import Settings, cache_of
from serving.server.storage import versions_on_disk
from serving.store import Store, StoreError

pytest.importorskip("s3fs", reason="s3fs is not installed: `make install-dev` brings it")
pytest.importorskip("moto", reason="moto is not installed: `make install-dev` brings it")


@pytest.fixture(scope="module")
def bucket() -> Iterator[None]:
    with s3() as variables, environment(variables):
        yield


@pytest.fixture(params=["s3", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path, bucket: None) -> Store:
    addresses = {"s3": f"s3://{BUCKET}/{tmp_path.name}/models/", "file": f"file://{tmp_path / 'store'}"}
    return Store(addresses[request.param])


@pytest.fixture
def saved_model(tmp_path: Path) -> Path:
    (tmp_path / "made/variables").mkdir(parents=True)
    (tmp_path / "made/saved_model.pb").write_bytes(b"a graph")
    (tmp_path / "made/variables/variables.index").write_bytes(b"some weights")
    return tmp_path / "made"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def spoil(store: Store, *parts: object, content: bytes = b"") -> None:
    """Put other bytes into a store than were pushed."""
    store._files.pipe_file(store._path(*parts), content)


def test_what_is_published_is_fetched(store: Store, saved_model: Path, tmp_path: Path) -> None:
    assert (store.models(), store.versions("generator"), store.read_config()) == ([], [], b"")
    store.check_writable()
    assert store.publish(saved_model, "generator", 9)
    assert store.publish(saved_model, "generator", 10)
    assert (store.models(), store.versions("generator")) == (["generator"], [9, 10])
    store.fetch("generator", 10, tmp_path / "fetched/10")
    assert contents(tmp_path / "fetched/10") == contents(saved_model)


def test_a_version_is_uploaded_once(store: Store, saved_model: Path) -> None:
    assert [store.publish(saved_model, "generator", 1) for _ in range(2)] == [True, False]


def test_a_version_without_a_manifest_is_not_there(
    store: Store, saved_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*args: Any) -> None:
        raise ConnectionError("the cable is out")

    with monkeypatch.context() as patch:
        patch.setattr(store._files, "pipe_file", cut_off)
        with pytest.raises(StoreError, match=r"Cannot write to .*: the cable is out"):
            store.publish(saved_model, "generator", 1)
    assert (store.models(), store.versions("generator")) == (["generator"], [])
    assert store.publish(saved_model, "generator", 1)
    assert store.versions("generator") == [1]


def test_other_bytes_than_were_pushed_are_refused(store: Store, saved_model: Path, tmp_path: Path) -> None:
    store.publish(saved_model, "generator", 1)
    spoil(store, "generator", 1, "saved_model.pb", content=b"a grapH")
    with pytest.raises(StoreError, match=r"generator/1/saved_model.pb differs from what was pushed"):
        store.fetch("generator", 1, tmp_path / "fetched/1")
    assert list((tmp_path / "fetched").iterdir()) == []


def test_a_manifest_cannot_write_elsewhere(store: Store, tmp_path: Path) -> None:
    spoil(store, "generator", "1.json", content=json.dumps({"files": {"../../x": {}}}).encode())
    with pytest.raises(StoreError, match=r"names a file outside its folder: \.\./\.\./x"):
        store.fetch("generator", 1, tmp_path / "fetched/1")


def test_an_older_version_than_is_there_is_refused(store: Store, saved_model: Path) -> None:
    store.publish(saved_model, "generator", 2)
    with pytest.raises(StoreError, match="has generator 2, which is newer than 1"):
        store.publish(saved_model, "generator", 1)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("s3://key:secret@bucket/models", "contains credentials: put them into the environment"),
        ("nowhere://models", "fsspec does not know the address nowhere://models: Protocol not known: nowhere"),
    ],
)
def test_addresses_that_cannot_be_used_are_refused(address: str, told: str) -> None:
    with pytest.raises(StoreError, match=told) as raised:
        Store(address)
    assert "secret" not in str(raised.value)


def test_a_run_that_could_not_be_uploaded_does_not_begin(tmp_path: Path, bucket: None) -> None:
    words = [
        "run",
        "--data",
        str(tmp_path),
        "--root",
        str(tmp_path / "root"),
        "--push-to",
        "s3://no-such-bucket/models",
    ]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, (tmp_path / "root").exists()) == (1, False)
    assert "Cannot write to s3://no-such-bucket/models: The specified bucket does not exist." in done.output


def test_a_run_uploads_what_it_pushed(store: Store, saved_model: Path, tmp_path: Path) -> None:
    for model in ("generator", "restorer"):
        (tmp_path / "pushed" / model).mkdir(parents=True)
        (tmp_path / "pushed" / model / "7").symlink_to(saved_model)
    for _ in range(2):
        publish(store, tmp_path / "pushed", {"generator": "7", "restorer": "7"})
    assert {model: store.versions(model) for model in store.models()} == {"generator": [7], "restorer": [7]}


@pytest.fixture
def mirror(store: Store, tmp_path: Path) -> Mirror:
    (tmp_path / "kept").mkdir()
    return Mirror(store, tmp_path / "kept")


def kept(mirror: Mirror) -> list[int]:
    return sorted(versions_on_disk(mirror.folder / "generator"))


def push(store: Store, saved_model: Path, *versions: int) -> None:
    for version in versions:
        store.publish(saved_model, "generator", version)


def config(version: int) -> bytes:
    pinned = f"model_version_policy {{ specific {{ versions: {version} }} }}"
    return f'model_config_list {{ config {{ name: "generator" {pinned} }} }}'.encode()


def test_a_mirror_keeps_the_newest_two_and_what_is_named(store: Store, saved_model: Path, mirror: Mirror) -> None:
    push(store, saved_model, 1, 2, 3)
    mirror.update()
    assert kept(mirror) == [2, 3]
    push(store, saved_model, 4)
    store.write_config(config(1))
    mirror.update()
    assert kept(mirror) == [1, 3, 4]
    assert (mirror.folder / "models.config").read_bytes() == config(1)
    store.write_config(b"")
    mirror.update()
    assert (kept(mirror), mirror.troubles) == ([3, 4], [])


def test_a_version_that_is_spoilt_leaves_the_others(store: Store, saved_model: Path, mirror: Mirror) -> None:
    push(store, saved_model, 1, 2)
    mirror.update()
    push(store, saved_model, 3)
    spoil(store, "generator", 3, "saved_model.pb")
    store.write_config(config(3))
    mirror.update()
    assert kept(mirror) == [1, 2]
    assert not (mirror.folder / "models.config").read_bytes()
    assert "generator version 3 cannot be downloaded" in mirror.troubles[0]
    store.write_config(config(1))
    mirror.update()
    assert (mirror.folder / "models.config").read_bytes() == config(1)


def test_an_empty_store_leaves_what_there_is(store: Store, saved_model: Path, mirror: Mirror) -> None:
    push(store, saved_model, 1)
    mirror.update()
    emptied = Mirror(Store(f"{store.address}/empty"), mirror.folder)
    with pytest.raises(StoreError, match="has no models: push some with `easel run --push-to"):
        emptied.update()
    assert kept(emptied) == [1]


def test_a_cache_belongs_to_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_of("s3://a/b").parent == tmp_path / "easel"
    assert cache_of("s3://a/b") == cache_of("s3://a/b/") != cache_of("s3://a/c")
    assert Settings(models="s3://a/b").folder == cache_of("s3://a/b")
    assert Settings(models="s3://a/b", models_cache=tmp_path).folder == tmp_path
    with pytest.raises(ValueError, match="--models_cache is for models at an address"):
        Settings(models=tmp_path, models_cache=tmp_path)
