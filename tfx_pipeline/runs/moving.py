"""Roots that are moved, or whose names Beam and TFX would misread."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from serving.folders import is_plain, plain_folder
from tfx_pipeline.runs.root import Root, within


@contextmanager
def plain_view(root: Root) -> Iterator[Path]:
    """An absolute path of a root for as long as a run lasts, in plain letters: its own, or else a link's.

    Beam takes a path for a pattern, so that brackets and stars in it mean something else, and TFX reads it as ASCII.

    Raises:
        OSError: If there is nowhere to make a link.
    """
    if is_plain(root.path.resolve()):
        yield root.path.resolve()
        return
    with plain_folder() as folder:
        link = folder / "root"
        link.symlink_to(root.path.resolve(), target_is_directory=True)
        yield link


def settle(root: Root, view: Path) -> None:
    """Let the store name every artifact by the path under which a run will look for it.

    Args:
        root: Nothing else may run there.
        view: The root to the components.
    """
    if not root.metadata.is_file():
        return
    store = open_store(root)
    moved = []
    for artifact in store.get_artifacts():
        uri = str(view / within(artifact.uri))
        if artifact.uri and artifact.uri != uri:
            artifact.uri = uri
            moved.append(artifact)
    store.put_artifacts(moved)


def open_store(root: Root, *, read_only: bool = False) -> mlmd.MetadataStore:
    """The MLMD store of a root."""
    connection = pb.ConnectionConfig()
    connection.sqlite.filename_uri = str(root.metadata)
    if read_only:
        connection.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READONLY
    return mlmd.MetadataStore(connection)
