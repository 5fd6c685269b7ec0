"""What came of a run, in a sentence, and the commands to go on with."""

import shlex
from dataclasses import dataclass

from tfx_pipeline.judging.verdict import refusal, verdicts
from tfx_pipeline.kinds import FUSED
from tfx_pipeline.runs.history import Run
from tfx_pipeline.runs.root import Root


@dataclass(frozen=True)
class Headline:
    """What came of a run: `pushed`, `refused`, `failed`, `interrupted` or `running`, and a sentence."""

    state: str
    sentence: str


def headline(run: Run, failure: str) -> Headline:
    """The verdict."""
    stopped = next((step.name for step in run.steps if step.state == run.state), "")
    if run.state == "failed" or failure:
        return Headline("failed", failure or f"{stopped} failed; the newest file in logs/ tells why.")
    if run.state == "interrupted":
        return Headline("interrupted", f"The run was interrupted in {stopped}; the same command goes on from there.")
    if run.state == "running":
        return Headline("running", f"The run is under way, in {stopped}.")
    if reason := refusal(run, verdicts(run)):
        return Headline("refused", f"Nothing was pushed: {reason}.")
    summary = f"trained {' and '.join(run.trained)}" if run.trained else "trained nothing, since all was in the cache"
    return Headline("pushed", f"Every model is blessed and stands pushed; this run {summary}.")


def commands(root: Root, run: Run, state: str) -> list[tuple[str, str]]:
    """Pairs of (what for, what to type)."""
    place, folder = shlex.quote(str(root.path)), shlex.quote(str(run.data.get("folder", "FOLDER")))
    caption = shlex.quote(run.caption)
    again = f"easel run --data {folder} --root {place}"
    history = ("What ran, and from which data", f"easel runs show {run.id} --root {place}")
    if state == "pushed":
        return [
            ("Serve the models", f"easel serve --root {place}"),
            ("Then ask for a picture, in another terminal", f"easel generate {caption} --scale 8 -o out.png"),
            ("Go back to the version before", f"easel models rollback {FUSED} --root {place}"),
            history,
        ]
    if state == "refused":
        return [("Train longer, or lower a threshold, by a file of settings", f"{again} --config FILE"), history]
    return [("Go on from where it stopped, with the options that you gave before", again), history]
