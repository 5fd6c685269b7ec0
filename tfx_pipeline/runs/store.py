"""The MLMD store of a root."""

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from tfx_pipeline.runs.root import Root


def open_store(root: Root, *, read_only: bool = False) -> mlmd.MetadataStore:
    """Open the MLMD store of a root."""
    connection = pb.ConnectionConfig()
    connection.sqlite.filename_uri = str(root.metadata)
    if read_only:
        connection.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READONLY
    return mlmd.MetadataStore(connection)


def relocate_artifacts(root: Root) -> None:
    """Change the URI of every artifact to its current path, relative to this root.

    Nothing may run in the root at the same time.
    """
    if not root.metadata.is_file():
        return
    store = open_store(root)
    artifacts = [artifact for artifact in store.get_artifacts() if artifact.uri]
    for artifact in artifacts:
        artifact.uri = str(root.place(artifact.uri))
    store.put_artifacts(artifacts)
