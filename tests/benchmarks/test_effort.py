import json
from pathlib import Path

from benchmarks.quality.classes import PHOTO
from benchmarks.quality.effort import Effort, Settings
from benchmarks.quality.programs import fit_elsewhere
from benchmarks.quality.run_programs import FIGURES

SETTINGS = Settings(
    cpu={"language": {"steps": 1000, "width": 64}, "drawing": {"warmup_steps": 50, "adversarial_steps": 0}},
    gpu={"language": {"steps": 4000, "width": 256}},
)


def test_steps_follow_the_budget_and_nothing_else_does() -> None:
    config = Effort(1, 3).config(SETTINGS)
    assert (config.seed, config.language.steps, config.language.width) == (3, 100, 64)
    assert (config.drawing.warmup_steps, config.drawing.adversarial_steps) == (5, 0)
    assert Effort(0.001).config(SETTINGS).drawing.warmup_steps == 1
    assert Effort(30).config(PHOTO).drawing.photo.steps == 3 * PHOTO.cpu["drawing"]["photo"]["steps"]
    assert [Effort(minutes).steps(480) for minutes in (10, 0.5, 0)] == [4800, 240, 1]


def test_a_gpu_has_settings_of_its_own(tmp_path: Path) -> None:
    config = Effort(10, 0, tmp_path).config(SETTINGS)
    assert (config.language.steps, config.language.width) == (2000, 256)


def test_what_trains_here_leaves_no_folder() -> None:
    with Effort(1).fitting() as fit:
        folder = fit.keywords["run_dir"].parent
        assert folder.is_dir()
    assert not folder.exists()


def test_programs_lie_in_a_folder_of_their_part_and_tell_their_time(tmp_path: Path) -> None:
    effort = Effort(1, 0, tmp_path).within("shapes")
    with effort.fitting() as fit:
        assert fit.func is fit_elsewhere and fit.keywords == {"folder": tmp_path / "shapes"}
    for name, seconds in (("language_model", 90), ("generator_warmup", 30)):
        (tmp_path / "shapes" / name).mkdir(parents=True)
        (tmp_path / "shapes" / name / FIGURES).write_text(json.dumps({"seconds": seconds}))
    assert effort.timed(lambda: "trained") == ("trained", {"training_minutes": 2.0})
    assert Effort(1).within("shapes").programs is None
