import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serving.folders import FolderError
from tfx_pipeline.datasets.entries import DataSetError, Entry, ReadLimits, fingerprint, write_metadata
from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.datasets.importing import ImportSummary, import_data


def pixels(colour: str = "red", size: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(stream, "PNG")
    return stream.getvalue()


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


ENTRIES = (
    Entry("images/red/1.png", "a red square", "红色方块", {"sides": 4}),
    Entry("images/blue.png", "a blue square", withheld=True),
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small data set in the canonical layout."""
    put(tmp_path / "source/images/red/1.png", pixels("red"))
    put(tmp_path / "source/images/blue.png", pixels("blue"))
    write_metadata(tmp_path / "source/metadata.jsonl", ENTRIES)
    return tmp_path / "source"


def packed(archive: Path, members: dict[str, bytes], *more: tarfile.TarInfo) -> Path:
    with tarfile.open(archive, "w:gz" if archive.suffix in (".gz", ".tgz") else "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in more:
            tar.addfile(info)
    return archive


def captions(*names: str) -> bytes:
    return "".join(json.dumps({"file_name": name, "text": f"picture {name}"}) + "\n" for name in names).encode()


def names_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def quarantine(out: Path) -> dict[str, str]:
    rows = [json.loads(line) for line in (out / "quarantine.jsonl").read_text("utf-8").splitlines()]
    return {row["file_name"]: row["reason"] for row in rows}


# Folders


def test_a_canonical_folder_comes_back_as_it_was(source: Path, tmp_path: Path) -> None:
    summary = import_data(source, tmp_path / "out")
    assert summary == ImportSummary(tmp_path / "out", 2, 1, 0, {}, fingerprint(source, ENTRIES))
    assert read_folder(tmp_path / "out").entries == ENTRIES
    assert names_below(tmp_path / "out") == [
        "README.md",
        "images/blue.png",
        "images/red/1.png",
        "metadata.jsonl",
        "quarantine.jsonl",
    ]
    assert (tmp_path / "out/metadata.jsonl").read_bytes() == (source / "metadata.jsonl").read_bytes()


def test_the_bytes_of_the_pictures_stay(tmp_path: Path) -> None:
    strange = pixels() + b"a thumbnail, perhaps"
    put(tmp_path / "source/a.png", strange)
    put(tmp_path / "source/a.txt", b"red")
    import_data(tmp_path / "source", tmp_path / "out")
    assert (tmp_path / "out/images/a.png").read_bytes() == strange


def test_texts_beside_pictures_become_a_table(tmp_path: Path) -> None:
    put(tmp_path / "source/pets/a.png", pixels())
    put(tmp_path / "source/pets/a.txt", b"a cat\n")
    put(tmp_path / "source/pets/a.zh.txt", "一只猫".encode())
    import_data(tmp_path / "source", tmp_path / "out")
    assert read_folder(tmp_path / "out").entries == (Entry("images/pets/a.png", "a cat", "一只猫"),)


def test_names_that_only_partly_lie_in_images_do_not_meet(tmp_path: Path) -> None:
    put(tmp_path / "source/a.png", pixels("red"))
    put(tmp_path / "source/images/a.png", pixels("blue"))
    put(tmp_path / "source/metadata.jsonl", captions("a.png", "images/a.png"))
    import_data(tmp_path / "source", tmp_path / "out")
    assert (tmp_path / "out/images/a.png").read_bytes() == pixels("red")
    assert (tmp_path / "out/images/images/a.png").read_bytes() == pixels("blue")


def test_an_import_of_an_import_is_the_same(source: Path, tmp_path: Path) -> None:
    put(source / "images/stray.png", pixels())
    limits = ReadLimits(max_share=0.5)
    first = import_data(source, tmp_path / "one", limits=limits)
    second = import_data(tmp_path / "one", tmp_path / "two", limits=limits)
    assert (first.quarantined, second.quarantined) == (1, 0)
    assert first.fingerprint == second.fingerprint


def test_what_is_set_aside_is_listed_and_counted(source: Path, tmp_path: Path) -> None:
    put(source / "images/stray.png", pixels())
    summary = import_data(source, tmp_path / "out", limits=ReadLimits(max_share=0.5))
    assert (summary.count, summary.quarantined, summary.kinds) == (2, 1, {"picture without a caption": 1})
    assert quarantine(tmp_path / "out") == {
        "images/stray.png": "No caption names this picture; write one, or remove the picture."
    }
    assert not (tmp_path / "out/images/stray.png").exists()


def test_too_much_set_aside_makes_a_list_and_nothing_else(source: Path, tmp_path: Path) -> None:
    put(source / "images/stray.png", pixels())
    with pytest.raises(DataSetError, match=r"1 of 3 pictures \(33\.3%\).*the list is in .*/out\.quarantine\.jsonl"):
        import_data(source, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.quarantine.jsonl", "source"]
    import_data(source, tmp_path / "out", limits=ReadLimits(max_share=0.5))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_progress_is_told_to_the_end(source: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    import_data(source, tmp_path / "out", progress=lambda *step: told.append(step))
    assert told == [("checking pictures", 2, 2), ("placing pictures", 2, 2)]


def test_an_empty_folder_and_missing_parents_may_be_filled(source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert import_data(source, tmp_path / "empty").count == 2
    assert import_data(source, tmp_path / "deep/down/out").count == 2


def test_out_may_lie_in_the_source(source: Path) -> None:
    assert import_data(source, source / "out").count == 2


@pytest.mark.parametrize(
    ("src", "told"),
    [
        ("nowhere", "nowhere does not exist: give a folder of captioned pictures, or a tar archive of one."),
        ("file", "file is neither a folder nor a tar archive: give one of the two."),
        ("empty", "has 0 pictures and no captions"),
    ],
)
def test_what_cannot_be_imported_leaves_nothing(source: Path, tmp_path: Path, src: str, told: str) -> None:
    put(tmp_path / "file", b"neither of the two")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataSetError, match=told):
        import_data(tmp_path / src, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "source"]


def test_what_stands_at_the_place_of_an_import_stays(source: Path) -> None:
    before = names_below(source)
    with pytest.raises(FolderError, match="source is not empty"):
        import_data(source, source)
    assert names_below(source) == before


# Archives


@pytest.mark.parametrize("top", ["", "cifar10", "./deep/cifar10"])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz"])
def test_an_archive_is_the_folder_it_was_made_from(source: Path, tmp_path: Path, suffix: str, top: str) -> None:
    archive = tmp_path / f"set{suffix}"
    with tarfile.open(archive, "w" if suffix == ".tar" else "w:gz") as tar:
        tar.add(source, arcname=top or ".")
    told: list[str] = []
    summary = import_data(archive, tmp_path / "out", progress=lambda what, *_: told.append(what))
    assert summary.fingerprint == fingerprint(source, ENTRIES)
    assert read_folder(tmp_path / "out").entries == ENTRIES
    assert told == ["unpacking bytes", "unpacking bytes", "checking pictures", "placing pictures"]
    assert names_below(tmp_path / "out") == [
        "README.md",
        "images/blue.png",
        "images/red/1.png",
        "metadata.jsonl",
        "quarantine.jsonl",
    ]


def test_an_archive_of_texts_beside_pictures(tmp_path: Path) -> None:
    archive = packed(tmp_path / "set.tgz", {"pets/a.png": pixels(), "pets/a.txt": b"a cat"})
    import_data(archive, tmp_path / "out")
    assert read_folder(tmp_path / "out").entries == (Entry("images/a.png", "a cat"),)


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("members", "more", "told"),
    [
        ({"../evil.png": pixels()}, [], {"../evil.png": "The archive would unpack it outside its folder"}),
        ({"set/../../evil.png": pixels()}, [], {"set/../../evil.png": "The archive would unpack it outside"}),
        ({"/evil.png": pixels()}, [], {"/evil.png": "The archive would unpack it outside its folder"}),
        ({}, [link("set/b.png", "/etc/hostname", tarfile.SYMTYPE)], {"b.png": "It is a link or a device in the"}),
        ({}, [link("set/b.png", "../../evil.png", tarfile.LNKTYPE)], {"b.png": "It is a link or a device in the"}),
        ({}, [link("set/b.png", "", tarfile.FIFOTYPE)], {"b.png": "It is a link or a device in the archive"}),
        ({"set/b.png": b"x" * 5000}, [], {"b.png": "The file takes 5,000 bytes, and at most 4,000 are allowed."}),
    ],
)
def test_a_member_that_may_not_be_unpacked(
    tmp_path: Path, members: dict[str, bytes], more: list[tarfile.TarInfo], told: dict[str, str]
) -> None:
    good = {"set/a.png": pixels(), "set/metadata.jsonl": captions("a.png", *(name for name in told if name == "b.png"))}
    (tmp_path / "in").mkdir()
    archive = packed(tmp_path / "in/set.tar", {**good, **members}, *more)
    summary = import_data(archive, tmp_path / "in/out", limits=ReadLimits(max_share=0.5, max_bytes=4000))
    assert (summary.count, summary.quarantined) == (1, 1)
    assert list(quarantine(tmp_path / "in/out")) == list(told)
    for name, reason in quarantine(tmp_path / "in/out").items():
        assert reason.startswith(told[name])
    assert not [path for path in tmp_path.rglob("*") if path.name == "evil.png"]


def test_a_link_to_a_folder_is_no_way_out(tmp_path: Path) -> None:
    archive = tmp_path / "set.tar"
    with tarfile.open(archive, "w") as tar:
        for name, data in {"a.png": pixels(), "metadata.jsonl": captions("a.png")}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        tar.addfile(link("door", str(tmp_path), tarfile.SYMTYPE))
        info = tarfile.TarInfo("door/evil.png")
        info.size = len(pixels())
        tar.addfile(info, io.BytesIO(pixels()))
    summary = import_data(archive, tmp_path / "out", limits=ReadLimits(max_share=0.9))
    assert summary.count == 1
    assert set(quarantine(tmp_path / "out")) == {"door", "door/evil.png"}
    assert not (tmp_path / "evil.png").exists()


def test_an_archive_larger_than_the_limit_stops_the_import(tmp_path: Path) -> None:
    archive = packed(tmp_path / "set.tgz", {"big.bin": bytes(2_000_000), "metadata.jsonl": b""})
    assert archive.stat().st_size < 10_000
    with pytest.raises(DataSetError, match=r"unpacks to more than the limit of 1,000,000 bytes: if you trust it"):
        import_data(archive, tmp_path / "out", limits=ReadLimits(max_total_bytes=1_000_000))
    assert [path.name for path in tmp_path.iterdir()] == ["set.tgz"]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_damaged_archive_is_told(tmp_path: Path, suffix: str) -> None:
    archive = packed(tmp_path / f"set{suffix}", {f"{n}.png": os.urandom(3000) for n in range(40)})
    archive.write_bytes(archive.read_bytes()[: 3000 * 20 + 100])
    with pytest.raises(DataSetError, match=r"is damaged \(.*\): download or create it again\."):
        import_data(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_flipped_byte_in_a_compressed_archive_is_told(source: Path, tmp_path: Path, mode: str, share: float) -> None:
    put(source / "noise.bin", os.urandom(30_000))
    archive = tmp_path / "set.tar"
    with tarfile.open(archive, mode) as tar:
        tar.add(source, arcname="set")
    data = bytearray(archive.read_bytes())
    data[int(len(data) * share)] ^= 0x55
    archive.write_bytes(data)
    with pytest.raises(DataSetError, match=r"is damaged \(.*\): download or create it again\."):
        import_data(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9, 1.0])
def test_an_archive_cut_between_its_members_is_told(source: Path, tmp_path: Path, at: float) -> None:
    archive = tmp_path / "set.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(source, arcname="set")
    with tarfile.open(archive) as tar:
        ends = [*(member.offset for member in tar.getmembers()[2:]), tar.offset]
    archive.write_bytes(archive.read_bytes()[: ends[int(at * (len(ends) - 1))]])
    with pytest.raises(
        DataSetError, match=r"is damaged \(it ends before its last member\): download or create it again\."
    ):
        import_data(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_header_in_an_archive_is_told(source: Path, tmp_path: Path) -> None:
    archive = tmp_path / "set.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(source, arcname="set")
    with tarfile.open(archive) as tar:
        at = tar.getmembers()[3].offset
    data = bytearray(archive.read_bytes())
    data[at] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DataSetError, match=rf"is damaged \(no member begins at its byte {at:,}\)"):
        import_data(archive, tmp_path / "out")


def test_a_member_that_an_archive_holds_twice_is_told(tmp_path: Path) -> None:
    archive = packed(tmp_path / "set.tar", {"set/a.png": pixels("red"), "set/a.txt": b"red"})
    with tarfile.open(archive, "a") as tar:
        info = tarfile.TarInfo("set/a.png")
        info.size = len(pixels("blue"))
        tar.addfile(info, io.BytesIO(pixels("blue")))
    summary = import_data(archive, tmp_path / "out", limits=ReadLimits(max_share=0.5))
    assert (summary.count, summary.kinds) == (1, {"picture named twice": 1})
    assert (tmp_path / "out/images/a.png").read_bytes() == pixels("blue")


def test_what_was_passed_over_is_counted(source: Path, tmp_path: Path) -> None:
    put(source / "@eaDir/1.png/thumbnail.png", pixels())
    assert import_data(source, tmp_path / "out").passed_over == {"@eaDir": 1}


def test_several_captions_of_a_picture_survive_an_import_of_an_import(tmp_path: Path) -> None:
    put(tmp_path / "source/test/a.png", pixels())
    put(tmp_path / "source/test/a.txt", b"one\ntwo\n")
    put(tmp_path / "source/train/b.png", pixels())
    put(tmp_path / "source/train/b.zh.txt", "一\n二".encode())
    first = import_data(tmp_path / "source", tmp_path / "one")
    second = import_data(tmp_path / "one", tmp_path / "two")
    assert (first.fingerprint, first.withheld) == (second.fingerprint, second.withheld)
    assert read_folder(tmp_path / "two").entries == (
        Entry("images/test/a.png", "one", withheld=True, more=("two",)),
        Entry("images/train/b.png", "", "一", more=("二",)),
    )


# Killed, and at the same time

KILLED = """
import os, signal, sys
from tfx_pipeline.datasets.importing import import_data

def die(what, done, total):
    if what == sys.argv[3]:
        os.kill(os.getpid(), int(sys.argv[4]))

import_data(sys.argv[1], sys.argv[2], progress=die)
"""


@pytest.mark.parametrize("stage", ["unpacking bytes", "checking pictures", "placing pictures"])
def test_a_killed_import_leaves_nothing_that_looks_complete(source: Path, tmp_path: Path, stage: str) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        tar.add(source, arcname="set")
    arguments = [str(tmp_path / "set.tar"), str(tmp_path / "out"), stage, str(int(signal.SIGKILL))]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert import_data(source, tmp_path / "out").count == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set.tar", "source"]


def test_an_interrupted_import_leaves_nothing_at_all(source: Path, tmp_path: Path) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what == "placing pictures":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_data(source, tmp_path / "out", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


# Any captions at all

LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(LETTERS, min_size=1).filter(lambda text: any(c.isprintable() and not c.isspace() for c in text))
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(LETTERS)
NAMES = st.text(st.characters(categories=["L", "N", "Zs", "So"]), min_size=1, max_size=20).filter(
    lambda name: name.strip() == name and len(name.encode()) < 200
)


@st.composite
def entries(draw: Callable[[st.SearchStrategy[object]], object]) -> Entry:
    return Entry(
        f"images/{draw(NAMES)}.png",
        str(draw(TEXTS)),
        str(draw(TEXTS | st.just(""))),
        dict(draw(st.dictionaries(st.text(LETTERS), VALUES, max_size=3))),  # type: ignore[call-overload]
        bool(draw(st.booleans())),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(entries(), min_size=1, max_size=3, unique_by=lambda entry: entry.file_name))
def test_captions_of_any_text_survive(made: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for entry in made:
            put(Path(folder, "in", entry.file_name), pixels())
        write_metadata(Path(folder, "in/metadata.jsonl"), made)
        import_data(Path(folder, "in"), Path(folder, "out"))
        assert read_folder(Path(folder, "out")).entries == tuple(made)
