"""A small folder of captioned pictures, and a pipeline of the two ExampleGens alone."""

from pathlib import Path

from PIL import Image

from tfx_pipeline.runs.root import Root


def captioned_folder(folder: Path, count: int) -> Path:
    """Pictures with captions, of which the first cannot be read, the next has three and the last a Chinese one."""
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (8, 8), (10 * number, 0, 0)).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(f"red number {number}", encoding="utf-8")
    (folder / "00.png").write_text("not a picture")
    (folder / "01.txt").write_text("red number 1\nnearly black\ndark\n", encoding="utf-8")
    (folder / f"{count - 1:02}.zh.txt").write_text("红", encoding="utf-8")
    return folder


def read_into(root: Root, folder: Path, lines: Path, known_as: str) -> None:
    # Here, so that tests of the data sets alone need not wait for TFX.
    from tfx import v1 as tfx

    from tfx_pipeline.components.examples import FolderExampleGen, TextExampleGen
    from tfx_pipeline.engines import IN_PROCESS
    from tfx_pipeline.pipeline import NAME

    metadata = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(root.metadata))
    pipeline = tfx.dsl.Pipeline(
        pipeline_name=NAME,
        pipeline_root=str(root.pipeline),
        components=[
            FolderExampleGen(folder=str(folder), fingerprint=known_as, max_quarantine=0.1),
            TextExampleGen(file=str(lines), fingerprint="of lines"),
        ],
        enable_cache=True,
        metadata_connection_config=metadata,
        beam_pipeline_args=list(IN_PROCESS),
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)
