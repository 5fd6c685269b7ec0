"""Run the pipeline here, say what it is doing, and sum up what came of it."""

import fcntl
import hashlib
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from absl import logging as absl_logging
from tfx import v1 as tfx

from tfx_pipeline.config import RunConfig
from tfx_pipeline.datasets.folder import DataSetError, ReadLimits, fingerprint, read_folder
from tfx_pipeline.history import History, Run
from tfx_pipeline.memory import PeakMemory
from tfx_pipeline.pipeline import Source, create_pipeline
from tfx_pipeline.report import Remarks, write_report
from tfx_pipeline.root import Root
from tfx_pipeline.verdict import Verdict, refusal, verdicts

Say = Callable[[str], None]


class RunError(Exception):
    """A run that did not finish; the message is one sentence with the cure."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    run: Run
    verdicts: list[Verdict]
    refusal: str
    seconds: float
    report: Path | None = None

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
        RunError: If a component fails, or another run is under way in the root.
    """
    started = time.monotonic()
    root.path.mkdir(parents=True, exist_ok=True)
    with only_run(root):
        say(f"reading {data}")
        entries = read_folder(data, limits=ReadLimits(max_share=config.data.max_quarantine), decode=False).entries
        lines = None if text is None else Source(text.resolve(), file_fingerprint(text))
        pictures = Source(data.resolve(), fingerprint(data, entries))
        pipeline = create_pipeline(root, pictures, config, text=lines)
        memory = PeakMemory()
        with narrated(root, say, memory) as log:
            try:
                launch(pipeline, log)
            except (DataSetError, RunError) as error:
                leave_report(root, Remarks(str(error), memory.peaks), say)
                raise
            memory.end()
            report = leave_report(root, Remarks("", memory.peaks), say)
    run = History(root).run("latest")
    found = verdicts(run)
    return Outcome(run, found, refusal(run, found), time.monotonic() - started, report)


def launch(pipeline: tfx.dsl.Pipeline, log: Path) -> None:
    """Run a pipeline to its end.

    Raises:
        DataSetError: If the data cannot be trained on.
        RunError: If a component fails.
    """
    try:
        tfx.orchestration.LocalDagRunner().run(pipeline)
    except DataSetError:
        raise
    except Exception as error:
        log.write_text(log.read_text(encoding="utf-8") + traceback.format_exc(), encoding="utf-8")
        raise RunError(
            f"{last_component(log)} failed: {type(error).__name__}: {first_line(error)} The whole story is in "
            f"{log}; the same command goes on from here once the cause is mended."
        ) from error


def leave_report(root: Root, remarks: Remarks, say: Say) -> Path | None:
    """Write the report of the newest run; one that cannot be written must not spoil the run."""
    try:
        file = write_report(root, History(root).run("latest"), remarks)
    except Exception as error:
        logging.exception("The report could not be written.")
        say(f"no report could be written: {type(error).__name__}: {first_line(error)}")
        return None
    say(f"report: {file}")
    return file


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


@contextmanager
def only_run(root: Root) -> Iterator[None]:
    """Hold the root for one run at a time.

    Raises:
        RunError: If another run holds it.
    """
    with (root.path / ".lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise RunError(
                f"Another run has been under way in {root.path} since {lock.read().strip() or 'a moment ago'}: wait "
                "for it, or choose another --root."
            ) from None
        lock.truncate(0)
        lock.write(time.strftime("%Y-%m-%d %H:%M:%S"))
        lock.flush()
        yield


class Narrator(logging.Handler):
    """Turns LocalDagRunner's log records about components into lines for a person."""

    def __init__(self, say: Say, memory: PeakMemory) -> None:
        super().__init__(logging.INFO)
        self.say = say
        self.memory = memory
        self.count = 0
        self.current = ""
        self.started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Say which component starts."""
        words = record.getMessage().split()
        if words[:1] == ["Component"] and words[-2:] == ["is", "running."]:
            self.count += 1
            self.current = words[1]
            self.memory.begin(self.current)
            minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
            self.say(f"[{self.count:2}] {minutes}:{seconds:02} {self.current}")


@contextmanager
def narrated(root: Root, say: Say, memory: PeakMemory) -> Iterator[Path]:
    """Keep what the libraries say in a file, and say aloud which component runs; yields the file.

    `memory` is told of each component as it starts.
    """
    root.logs.mkdir(exist_ok=True)
    log = root.logs / f"{time.strftime('%Y%m%d-%H%M%S')}.log"
    to_file = logging.FileHandler(log, encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    narrator = Narrator(say, memory)
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
