"""ExampleGen components, which convert a folder of captioned pictures, or lines of text, to tf.train.Examples."""

import hashlib
from pathlib import Path
from typing import Any

import apache_beam as beam
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples
from tfx.v1.dsl.components import BeamComponentParameter, OutputArtifact, Parameter, component

from tfx_pipeline.datasets.captions import text_lines
from tfx_pipeline.datasets.entries import (
    QUARANTINE,
    DataSetError,
    Kind,
    Quarantined,
    ReadLimits,
    combined,
    write_quarantine,
)
from tfx_pipeline.datasets.folder import Reading, check_quarantine
from tfx_pipeline.datasets.spans import read_spans
from tfx_pipeline.ingesting.examples import (
    SPLITS,
    Reader,
    as_json,
    chunks,
    example,
    from_json,
    records_of,
    trained_caption,
)
from tfx_pipeline.ingesting.slices import ATTRIBUTE, in_tenth, marked

ALLOW = "max_quarantine = {share:.2f} under [data] in a --config file"
# The digest of a file that could not be read.
NO_DIGEST = hashlib.sha256(b"").digest()


@component(use_beam=True)
def FolderExampleGen(
    folder: Parameter[str],
    fingerprint: Parameter[str],
    max_quarantine: Parameter[float],
    examples: OutputArtifact[Examples],
    spans: Parameter[str] = "",
    attributes: Parameter[str] = "",
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Read a dataset folder, or spans in it, into the splits `train` and `eval`.

    Entries marked as withheld form the eval split; if none is marked, it is a tenth, chosen by the hash of file names,
    or at least one of them.
    `spans` and `attributes` are names separated by spaces; the attributes are kept for slicing.

    Raises:
        DataSetError: Too many entries are unusable, none is left in a split, or the contents have another fingerprint.
    """
    root, names = Path(folder), spans.split()
    reading = read_spans(root, names, limits=ReadLimits(max_share=max_quarantine), decode=False)
    check_quarantine(reading, max_share=max_quarantine, allow=ALLOW)
    reader = Reader(str(root), frozenset(ATTRIBUTE + name for name in attributes.split()))
    prepare(examples, spans=spans, fingerprint=fingerprint)
    looked = Path(examples.uri) / "looked-at"
    with beam_pipeline as pipeline:
        looked_at = (
            pipeline
            | "Chunks" >> beam.Create(list(chunks(marked(reading.entries))))
            | "Spread" >> beam.Reshuffle()
            | "Look" >> beam.Map(reader)
        )
        _ = looked_at | "Tell" >> beam.Map(as_json) | "Keep" >> beam.io.WriteToText(str(looked))
        for number, name in enumerate(SPLITS):
            records = looked_at | f"Records[{name}]" >> beam.FlatMap(records_of, bool(number))
            write(records, examples, name)
    finish(examples, reading, from_json(looked), fingerprint, max_quarantine)


@component(use_beam=True)
def TextExampleGen(
    file: Parameter[str],
    fingerprint: Parameter[str],
    examples: OutputArtifact[Examples],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Read a file with one text per line into the splits `train` and `eval`; blank lines are skipped."""
    prepare(examples, fingerprint=fingerprint)
    with beam_pipeline as pipeline:
        lines = pipeline | "File" >> beam.Create([file]) | "Lines" >> beam.FlatMap(text_lines)
        parts = lines | "Split" >> beam.Partition(lambda line, _: int(in_tenth(line)), len(SPLITS))
        for name, part in zip(SPLITS, parts, strict=True):
            records = part | f"Example[{name}]" >> beam.Map(lambda line: example(line=line.encode()))
            write(records, examples, name, ".gz")


def finish(examples: Examples, reading: Reading, outcomes: list[Any], fingerprint: str, max_quarantine: float) -> None:
    """Check what was read against what was expected, and record it.

    Raises:
        DataSetError: Too many pictures were quarantined, the folder has changed since its fingerprint was computed, or
            Beam's workers do not see it.
    """
    digests = [bytes.fromhex(digest) for _, digest, _ in outcomes]
    if not set(digests) - {NO_DIGEST}:
        raise DataSetError(
            f"Beam's workers returned none of the {len(reading.entries)} pictures in {reading.root}: they must see "
            "that folder and the --root at the same paths as this machine."
        )
    if combined(reading.entries, digests) != fingerprint:
        raise DataSetError(
            f"{reading.root} changed while it was being read: wait until nothing writes to it, then run the same "
            "command again. Put data that keeps arriving into spans (span-0001, span-0002)."
        )
    refused = tuple(
        Quarantined(name, why, Kind(kind)) for *_, refusal in outcomes if refusal for name, why, kind in [refusal]
    )
    gone = {item.file_name for item in refused}
    left = tuple(entry for entry in marked(reading.entries) if entry.file_name not in gone)
    checked = Reading(reading.root, left, (*reading.quarantined, *refused))
    check_quarantine(checked, max_share=max_quarantine, allow=ALLOW)
    check_splits(checked)
    write_quarantine(Path(examples.uri) / QUARANTINE, checked.quarantined)
    spoken = {"en": any(entry.text for entry in left), "zh": any(entry.text_zh for entry in left)}
    languages = " ".join(language for language, is_there in spoken.items() if is_there)
    record(examples, pictures=len(left), quarantined=len(checked.quarantined), languages=languages)
    record(examples, caption=trained_caption(left))


def check_splits(reading: Reading) -> None:
    """Reject a dataset, whose held-out entries are marked, without any entry to train on or to evaluate with.

    Raises:
        DataSetError: One of the splits is empty.
    """
    held_out = sum(entry.withheld for entry in reading.entries)
    if not 0 < held_out < len(reading.entries):
        raise DataSetError(
            f"{reading.root} has {len(reading.entries) - held_out:,} pictures to train on and {held_out:,} held out "
            "for evaluation, and at least 1 of each is needed: add pictures, or change which ones are withheld."
        )


def prepare(examples: Examples, **properties: int | str) -> None:
    """Create the folder, name the splits, and record the inputs for `easel runs show`."""
    examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
    Path(examples.uri).mkdir(parents=True, exist_ok=True)
    record(examples, **properties)


def record(examples: Examples, **properties: int | str) -> None:
    """Set custom properties."""
    for name, value in properties.items():
        setter = examples.set_int_custom_property if isinstance(value, int) else examples.set_string_custom_property
        setter(name, value)


def write(records: beam.PCollection, examples: Examples, split: str, suffix: str = "") -> None:
    """Write serialized examples in TFX's layout of a split; their pictures are already compressed."""
    prefix = Path(artifact_utils.get_split_uri([examples], split)) / "data_tfrecord"
    _ = records | f"Write[{split}]" >> beam.io.WriteToTFRecord(str(prefix), file_name_suffix=suffix)
