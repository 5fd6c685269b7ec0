"""What the MLMD store of a root records, whatever path leads to the root."""

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from tfx_pipeline.runs.root import Root


def open_store(root: Root, *, read_only: bool = False) -> mlmd.MetadataStore:
    """The MLMD store of a root."""
    connection = pb.ConnectionConfig()
    connection.sqlite.filename_uri = str(root.metadata)
    if read_only:
        connection.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READONLY
    return mlmd.MetadataStore(connection)


def relocate_artifacts(root: Root) -> None:
    """Record every artifact under `root`, where a run that is given this path to it will look.

    Nothing else may run there.
    """
    if not root.metadata.is_file():
        return
    store, moved = open_store(root), []
    for artifact in store.get_artifacts():
        place = str(root.place(artifact.uri))
        if artifact.uri not in ("", place):
            artifact.uri = place
            moved.append(artifact)
    store.put_artifacts(moved)
