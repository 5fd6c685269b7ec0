import json
from pathlib import Path

import pytest
import tensorflow as tf

from benchmarks.quality import language
from models.language_model import LanguageModel
from models.vocabulary import character_vocabulary

TEXT = "".join(f"KING {number % 7}:\nAy, sir;  no.\n\n" for number in range(60))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"STREAMS": 4, "WINDOW": 24, "TOKEN_SIZE": 8, "LEARNING_RATE": 0.02}.items():
        monkeypatch.setattr(language, name, value)
    monkeypatch.setattr(language, "CPU", language.CPU._replace(width=24, steps=60))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_bytes(TEXT.encode())
    return tmp_path / "text.txt"


def test_the_command_learns_a_text_and_prints_its_score(
    tiny: None, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["language", "--text", str(file), "--minutes", "1", "--seed", "3"])
    language.main()
    measured = json.loads(capsys.readouterr().out)
    assert set(measured) == {"shakespeare_nats", "training_minutes"}
    # Single characters of this text, without their context, cost more than 2.5 nats.
    assert 0 < measured["shakespeare_nats"] < 1.8
    assert 0 < measured["training_minutes"] < 5


def test_split_by_position() -> None:
    text = "ab" * 10_000
    training, validation = language.split(text)
    assert training + validation == text and len(training) == 18_000


def test_a_short_text_is_refused() -> None:
    with pytest.raises(ValueError, match="The text has 100 characters; it needs at least 4552 to train on"):
        language.split("a" * 100)
    assert language.split("a" * 4552)
    with pytest.raises(ValueError, match="4551 characters"):
        language.split("a" * 4551)


def test_every_character_is_counted_with_all_before_it() -> None:
    text = "ab\nB a" * 100
    model = LanguageModel(character_vocabulary(text), length=8, token_size=8, width=8, exact=True)
    ids = model.tokenizer.tokenize_whole(tf.constant([text]))
    logits = tf.nn.log_softmax(model.next_piece(model.read(ids[:, :-2], model.no_states(1))[0]))
    expected = -float(tf.reduce_mean(tf.gather(logits, ids[:, 1:-1], batch_dims=2)))
    assert language.nats_per_character(model, text) == pytest.approx(expected, rel=1e-5)
