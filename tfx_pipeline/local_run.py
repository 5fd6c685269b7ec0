"""Run the pipeline here, say what it is doing, and sum up what came of it."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from absl import logging as absl_logging
from tfx import v1 as tfx

from tfx_pipeline.config import RunConfig
from tfx_pipeline.datasets.folder import DataSetError, ReadLimits, fingerprint, read_folder
from tfx_pipeline.guards import RunError, check_metadata, check_serving_folder, cure, keep_metadata, only_run
from tfx_pipeline.history import History, Run
from tfx_pipeline.pipeline import Source, create_pipeline
from tfx_pipeline.root import Root
from tfx_pipeline.verdict import Verdict, verdicts

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    run: Run
    verdicts: list[Verdict]
    refusal: str
    seconds: float

    @property
    def blessed(self) -> bool:
        """Whether everything was blessed and stands pushed."""
        return not self.refusal


def run_local(root: Root, data: Path, config: RunConfig, *, text: Path | None = None, say: Say = print) -> Outcome:
    """Run the whole pipeline in this process with LocalDagRunner.

    Args:
        root: Where everything is kept.
        data: The data-set folder.
        config: All settings.
        text: Further lines for the language model.
        say: Told a line for each component as it starts.

    Raises:
        DataSetError: If the folder cannot be trained on.
        RunError: If a component fails, another run is under way in the root, or the root is damaged or not writable.
    """
    started = time.monotonic()
    root.path.mkdir(parents=True, exist_ok=True)
    with only_run(root):
        check_serving_folder(root)
        check_metadata(root)
        say(f"reading {data}")
        entries = read_folder(data, limits=ReadLimits(max_share=config.data.max_quarantine), decode=False).entries
        lines = None if text is None else Source(text.resolve(), file_fingerprint(text))
        pictures = Source(data.resolve(), fingerprint(data, entries))
        with narrated(root, say) as log:
            pipeline = create_pipeline(root, pictures, config, text=lines)
            try:
                tfx.orchestration.LocalDagRunner().run(pipeline)
            except DataSetError:
                raise
            except Exception as error:
                logging.getLogger().error("The run failed.", exc_info=error)
                raise RunError(
                    f"{last_component(log)} failed: {type(error).__name__}: {first_line(error)} The whole story is in "
                    f"{log}; {cure(error, root)}, then the same command goes on from here."
                ) from error
        keep_metadata(root)
    run = History(root).run("latest")
    found = verdicts(run)
    return Outcome(run, found, refusal(run, found), time.monotonic() - started)


def refusal(run: Run, found: list[Verdict]) -> str:
    """Why nothing was pushed, as one sentence; empty where everything was."""
    missed = [str(verdict) for verdict in found if not verdict.blessed]
    if missed:
        return "; ".join(missed)
    check = run.step("ServingValidator")
    if check and check.outputs and check.outputs[0].properties.get("blessed") != 1:
        return f"text_to_image not pushed: {check.outputs[0].properties.get('reason', 'the server refused it')}"
    return ""


def file_fingerprint(file: Path) -> str:
    """A hash of a text file's bytes.

    Raises:
        DataSetError: If it cannot be read, or is not UTF-8.
    """
    try:
        content = file.read_bytes()
        content.decode()
    except OSError as error:
        raise DataSetError(f"The text file {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataSetError(f"The text file {file} is not UTF-8 at byte {error.start}: save it as UTF-8.") from None
    return hashlib.sha256(content).hexdigest()


def first_line(error: BaseException) -> str:
    """The first line of an error's message, closed with a full stop."""
    lines = str(error).strip().splitlines() or ["no message."]
    return lines[0] if lines[0].endswith(".") else f"{lines[0]}."


class LogFile(logging.FileHandler):
    """A log that a full disk leaves incomplete, without a word of its own."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Let the run tell of the disk."""


class Narrator(logging.Handler):
    """Turns LocalDagRunner's log records about components into lines for a person."""

    def __init__(self, say: Say) -> None:
        super().__init__(logging.INFO)
        self.say = say
        self.count = 0
        self.current = ""
        self.started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Say which component starts."""
        words = record.getMessage().split()
        if words[:1] == ["Component"] and words[-2:] == ["is", "running."]:
            self.count += 1
            self.current = words[1]
            minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
            self.say(f"[{self.count:2}] {minutes}:{seconds:02} {self.current}")


@contextmanager
def narrated(root: Root, say: Say) -> Iterator[Path]:
    """Keep what the libraries say in a file, and say aloud which component runs; yields the file."""
    root.logs.mkdir(exist_ok=True)
    log = root.logs / f"{time.strftime('%Y%m%d-%H%M%S')}.log"
    to_file = LogFile(log, encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    narrator = Narrator(say)
    verbosity = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.INFO)
    loggers = [logging.getLogger(name) for name in ("", "absl", "tensorflow")]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = [to_file, narrator]
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield log
    finally:
        to_file.close()
        absl_logging.set_verbosity(verbosity)
        for logger, handlers, level, propagate in before:
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)


def last_component(log: Path) -> str:
    """The component that the log saw start last."""
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.endswith(" is running.")]
    return lines[-1].split()[-3] if lines else "The pipeline"
