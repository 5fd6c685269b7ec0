"""Running the pipeline on this machine, with progress and a summary of the outcome."""

import hashlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from absl import logging as absl_logging
from tfx import v1 as tfx

from models.learning.cluster import WorkerError
from serving.folders import flush
from tfx_pipeline.config import RunConfig
from tfx_pipeline.datasets.captions import text_lines
from tfx_pipeline.datasets.entries import DataSetError, ReadLimits, counted, fingerprint
from tfx_pipeline.datasets.spans import newest_spans, read_spans
from tfx_pipeline.engines import IN_PROCESS, is_in_process
from tfx_pipeline.ingesting.drift import DriftError
from tfx_pipeline.ingesting.slices import attributes_to_slice_by, eval_slices
from tfx_pipeline.judging.verdict import Verdict, refusal, verdicts
from tfx_pipeline.pipeline import FROM_SCRATCH, Source, Start, create_pipeline, pretrained_start, seen_by_beam
from tfx_pipeline.report import Remarks, write_report
from tfx_pipeline.runs.commit import code_commit
from tfx_pipeline.runs.guards import (
    RunError,
    check_metadata,
    check_path,
    check_serving_folder,
    cure,
    keep_metadata,
    only_run,
)
from tfx_pipeline.runs.history import History, Run
from tfx_pipeline.runs.memory import PeakMemory
from tfx_pipeline.runs.root import INSIDE, Root
from tfx_pipeline.runs.store import relocate_artifacts

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        run: The run.
        verdicts: The verdicts on the models.
        refusal: Why nothing was pushed; empty if everything was.
        drift: What has drifted more than the settings allow; empty if nothing has.
        seconds: Duration in seconds.
        new: Whether there was anything new; otherwise `run` is an earlier run on the same data and settings.
    """

    run: Run
    verdicts: list[Verdict]
    refusal: str
    drift: str
    seconds: float
    report: Path | None = None
    new: bool = True

    @property
    def blessed(self) -> bool:
        """Whether everything was blessed and is still pushed."""
        return not self.refusal


def run_local(
    root: Root,
    data: Path,
    config: RunConfig,
    *,
    text: Path | None = None,
    beam: Sequence[str] = IN_PROCESS,
    say: Say = print,
) -> Outcome:
    """Run the whole pipeline with LocalDagRunner, in this process except for what Beam runs elsewhere.

    Args:
        root: The root folder of the runs.
        data: The dataset folder, or a folder of spans, of which the newest are used.
        config: All settings.
        text: A file of additional lines of text for the language model.
        beam: Arguments for Beam; see `tfx_pipeline.engines.beam_args`.
        say: Called with a line for each component as it starts.

    Raises:
        DataSetError: The folder cannot be used for training.
        DriftError: The data have drifted, and the settings say to stop.
        RunError: A component fails, another run is in progress in the root, or the root is damaged or not writable.
    """
    started = time.monotonic()
    root.path.mkdir(parents=True, exist_ok=True)
    root = Root(root.path.resolve())
    if not (is_in_process(beam) and INSIDE.exists()):
        check_path(root)
    with only_run(root):
        check_serving_folder(root)
        check_metadata(root)
        say(f"reading {data}")
        lines = None if text is None else Source(text.resolve(), file_fingerprint(text))
        pictures = source_of(data, config, say)
        if pictures.spans and (seen := last_on(root, pictures, lines, config)):
            return outcome(seen, started, new=False)
        memory = PeakMemory()
        with narrated(root, say, memory.begin) as narrator:
            try:
                # From inside the root, recorded paths are relative, so the root can be renamed or moved.
                with chdir(root.path):
                    execute(lambda: lay_out(pictures, lines, config, beam), root, narrator)
            except (DataSetError, DriftError, RunError) as error:
                leave_report(root, Remarks(str(error), memory.peaks), say)
                raise
            memory.end()
            report = leave_report(root, Remarks("", memory.peaks), say)
        leave_backup(root, say)
    return outcome(History(root).run("latest"), started, report)


def lay_out(pictures: Source, text: Source | None, config: RunConfig, beam: Sequence[str]) -> tfx.dsl.Pipeline:
    """The pipeline with the working directory as its root."""
    here = Root(Path())
    start = start_of(here, pictures, text, config)
    relocate_artifacts(seen_by_beam(here, beam))
    return create_pipeline(here, pictures, config, text=text, start=start, commit=code_commit(), beam=beam)


def outcome(run: Run, started: float, report: Path | None = None, *, new: bool = True) -> Outcome:
    """The outcome of a run that started at a time of the monotonic clock."""
    judged = verdicts(run)
    return Outcome(run, judged, refusal(run, judged), drift(run), time.monotonic() - started, report, new)


def last_on(root: Root, pictures: Source, text: Source | None, config: RunConfig) -> Run | None:
    """The last finished run, if it had the same data and settings and its models are still pushed."""
    if not root.metadata.is_file():
        return None
    run = next((run for run in History(root).runs() if run.state == "done"), None)
    asked = (learned_from(pictures, text), config.model_dump(mode="json"))
    if run is None or (origin(run), run.config) != asked:
        return None
    standing = all((root.pushed / name / version).is_dir() for name, version in run.pushed.items())
    return run if standing else None


def learned_from(pictures: Source, text: Source | None) -> tuple[str | None, str | None]:
    """Fingerprints of the data of the next run."""
    return pictures.fingerprint, text.fingerprint if text else None


def origin(run: Run) -> tuple[str | None, str | None]:
    """Fingerprints of the data of a run."""
    return run.data.get("fingerprint"), run.data.get("file_fingerprint")


def source_of(data: Path, config: RunConfig, say: Say = lambda _: None) -> Source:
    """Inspect the data: its spans, their fingerprint, and the slices for the evaluation.

    Raises:
        DataSetError: There is no folder, or it has no captions.
    """
    spans = newest_spans(data, config.retraining.window)
    reading = read_spans(data, spans, limits=ReadLimits(max_share=config.data.max_quarantine), decode=False)
    if reading.passed_over:
        say(f"ignored, not part of the dataset: {counted(reading.passed_over)}")
    slices = eval_slices(data, reading.entries, config.slices.smallest)
    attributes = attributes_to_slice_by(reading.entries)
    return Source(data.resolve(), fingerprint(data, reading.entries), spans, slices, attributes)


def start_of(root: Root, pictures: Source, text: Source | None, config: RunConfig) -> Start:
    """The initial weights for the next run, according to `retraining.start`."""
    if config.retraining.start == "pretrained":
        return pretrained_start()
    return Start(last_pushed(root, pictures, text)) if config.retraining.start == "last" else FROM_SCRATCH


def last_pushed(root: Root, pictures: Source, text: Source | None) -> dict[str, str]:
    """The Model artifacts of the last run on other data that pushed its models; empty if there is no such run.

    Runs on the same data are skipped, so that the same command finds its own trainings in the cache.
    """
    if not root.metadata.is_file():
        return {}
    others = (run for run in History(root).runs() if run.pushed and origin(run) != learned_from(pictures, text))
    return next((run.models for run in others), {})


def execute(lay_out: Callable[[], tfx.dsl.Pipeline], root: Root, narrator: "Narrator") -> None:
    """Lay a pipeline out, and run it to its end.

    Raises:
        DataSetError, DriftError: Raised by a component.
        RunError: A component fails for another reason.
    """
    try:
        tfx.orchestration.LocalDagRunner().run(lay_out())
    except (DataSetError, DriftError):
        raise
    except WorkerError as error:
        raise RunError(f"{narrator.component} stopped: {error}") from error
    except Exception as error:
        logging.getLogger().error("The run failed.", exc_info=error)
        raise RunError(
            f"{narrator.component} failed: {first_line(error)} The log is {narrator.log}; {cure(error, root)}, then "
            "run the same command to resume."
        ) from error


def drift(run: Run) -> str:
    """What has drifted too far in a run, as clauses; empty if nothing has."""
    step = run.step("DriftCheck")
    return str(step.outputs[0].properties.get("drift", "")) if step and step.outputs else ""


def leave_report(root: Root, remarks: Remarks, say: Say) -> Path | None:
    """Write the report of the newest run; if this fails, the run does not."""
    try:
        file = write_report(root, History(root).run("latest"), remarks)
    except Exception as error:
        logging.exception("The report could not be written.")
        say(f"the report could not be written: {first_line(error)}")
        return None
    say(f"report: {file}")
    return file


def leave_backup(root: Root, say: Say) -> None:
    """Back up the metadata store; without room for it the run is as good, and the last backup stays."""
    try:
        keep_metadata(root)
    except (OSError, sqlite3.Error) as error:
        logging.exception("The metadata store could not be backed up.")
        say(f"the metadata store could not be backed up: {first_line(error)[:-1]}; {cure(error, root)}")


def file_fingerprint(file: Path) -> str:
    """A hash of a text file's bytes.

    Raises:
        DataSetError: The file cannot be read, or its encoding is unknown.
    """
    text_lines(file)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def first_line(error: BaseException) -> str:
    """The first line of an error's message, with a full stop."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        # For every file that could not be copied: its source, its target and the reason.
        error = OSError(error.args[0][0][-1])
    # MLMD appends the SQL to its messages.
    lines = str(error).partition(" query:  ")[0].strip().splitlines() or ["no message."]
    return lines[0] if lines[0].endswith(".") else f"{lines[0]}."


class LogFile(logging.FileHandler):
    """A log file that ignores errors when the disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignore the error, which the run reports."""

    def close(self) -> None:
        """Close the file, though the disk may not take the rest of it."""
        with suppress(OSError):
            super().close()


class Narrator(logging.Handler):
    """Turns LocalDagRunner's log records about components into lines for a person.

    Attributes:
        root: The root of the run.
        log: The file that all records go to.
        component: The last component that started.
    """

    def __init__(self, root: Root, log: Path, say: Say, begins: Say) -> None:
        super().__init__(logging.INFO)
        self.root = root
        self.log = log
        self.say = say
        self.begins = begins
        self.count = 0
        self.component = "The pipeline"
        self.started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Print the name of a component that starts, and flush the output of one that has finished to the disk."""
        match record.getMessage().split():
            case ["Component", name, "is", "running."]:
                self.start(name)
            case ["Component", name, "is", "finished."] if (output := self.root.pipeline / name).is_dir():
                # Otherwise, after a power cut, the cache could contain empty files.
                flush(output)

    def start(self, component: str) -> None:
        """Print the name of a component."""
        self.count += 1
        self.component = component
        self.begins(component)
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        self.say(f"[{self.count:2}] {minutes}:{seconds:02} {component}")


@contextmanager
def narrated(root: Root, say: Say, begins: Say = lambda component: None) -> Iterator[Narrator]:
    """Write the log records of all libraries to a file, and report which component runs; yields the reporter.

    `begins` is called with the name of each component as it starts.
    """
    root.logs.mkdir(exist_ok=True)
    log = root.logs / f"{time.strftime('%Y%m%d-%H%M%S')}.log"
    to_file = LogFile(log, encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    narrator = Narrator(root, log, say, begins)
    verbosity = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.INFO)
    loggers = [logging.getLogger(name) for name in ("", "absl", "tensorflow")]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = [to_file, narrator]
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield narrator
    finally:
        to_file.close()
        for logger, handlers, level, propagate in before:
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)
        absl_logging.set_verbosity(verbosity)
