"""Every variant of pictures and captions, from a folder to the graph and through a server: all of it taken or told."""

import base64
import io
import itertools
import json
import tarfile
from pathlib import Path

import numpy as np
import openai
import pytest
import tensorflow as tf
from odd_data import Odd, OddFolder, lay_out
from PIL import Image

from serving.client import Client, ServingError
from serving.process import ServerProcess
from tfx_pipeline.datasets.entries import DataSetError, ReadLimits
from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.datasets.importing import ImportSummary, import_data
from tfx_pipeline.ingesting.examples import Checked, Reader, chunks

ALL = ReadLimits(max_share=1)
# A JPEG decodes to slightly other colours in TensorFlow than in Pillow.
DECODED = 4

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.fixture(scope="module", params=[240, pytest.param(2000, marks=pytest.mark.soak)])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OddFolder:
    return lay_out(tmp_path_factory.mktemp("odd") / "set [1] 集", request.param)


@pytest.fixture(scope="module")
def imported(made: OddFolder) -> ImportSummary:
    return import_data(made.root, made.root.with_name("imported"), limits=ALL)


def assert_shown(picture: Image.Image, odd: Odd, name: str, off: int = 0) -> None:
    assert odd.shows is not None and picture.size == odd.shows.size, name
    difference = np.abs(np.asarray(picture.convert("RGB")).astype(int) - np.asarray(odd.shows))
    assert difference.max() <= odd.off + off, name


def test_everything_is_imported_or_listed(made: OddFolder, imported: ImportSummary) -> None:
    entries = {entry.file_name.removeprefix("images/"): entry.captions for entry in read_folder(imported.out).entries}
    assert entries == {name: made.captions[name] for name in made.legal}
    listed = (imported.out / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["file_name"] for line in listed} == made.aside
    assert sum(imported.passed_over.values()) == made.passed_over


def test_the_graph_is_given_what_the_pictures_show(made: OddFolder, imported: ImportSummary) -> None:
    entries = read_folder(imported.out, decode=False).entries
    read = Reader(str(imported.out))
    checked: list[Checked] = list(itertools.chain.from_iterable(map(read, chunks(entries))))
    assert [item.refusal for item in checked] == [None] * len(made.legal)
    for entry, item in zip(entries, checked, strict=True):
        name, features = entry.file_name.removeprefix("images/"), tf.train.Example.FromString(item.example).features
        encoded = features.feature["image"].bytes_list.value[0]
        assert_shown(Image.open(io.BytesIO(encoded)), made.pictures[name], name)
        decoded = tf.io.decode_image(encoded, channels=3).numpy()
        assert_shown(Image.fromarray(decoded), made.pictures[name], name, DECODED)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_is_taken_as_its_folder_is_and_a_damaged_one_not_at_all(
    made: OddFolder, imported: ImportSummary, tmp_path: Path, mode: str
) -> None:
    archive = tmp_path / "set.tar"
    with tarfile.open(archive, mode) as tar:
        tar.add(imported.out, arcname="set")
    assert import_data(archive, tmp_path / "out", limits=ALL).fingerprint == imported.fingerprint
    archive.write_bytes(archive.read_bytes()[:-11_000])
    with pytest.raises(DataSetError, match="is damaged"):
        import_data(archive, tmp_path / "cut", limits=ALL)
    assert not (tmp_path / "cut").exists()


def test_a_client_restores_what_the_pictures_show_or_says_why_not(made: OddFolder, client: Client) -> None:
    for name, odd in made.pictures.items():
        if odd.shows is not None:
            assert_shown(client.restore(made.root / name, noise_sigma=0.0), odd, name, DECODED)
            continue
        with pytest.raises(ServingError, match=r"^image .*: The (file|picture) .*\.$") as caught:
            client.restore(made.root / name, noise_sigma=0.0)
        assert caught.value.code == "INVALID_ARGUMENT"


def test_the_api_edits_what_the_pictures_show_or_says_why_not(made: OddFolder, server: ServerProcess) -> None:
    # Where a picture is clear it has a hole, which a model fills.
    with openai.OpenAI(base_url=f"{server.studio_url}/v1", api_key="any", max_retries=0) as known:
        for name, odd in itertools.islice(made.pictures.items(), 0, None, 4):
            if odd.shows is None:
                with pytest.raises(openai.UnprocessableEntityError, match=r"image: The (file|picture) .*\."):
                    edited(known, odd.data)
            elif not odd.is_clear:
                assert_shown(edited(known, odd.data), odd, name, DECODED)


def edited(known: openai.OpenAI, data: bytes) -> Image.Image:
    images = known.images.edit(image=("picture", data), prompt="", extra_body={"noise_sigma": 0})
    return Image.open(io.BytesIO(base64.b64decode(images.data[0].b64_json)))
