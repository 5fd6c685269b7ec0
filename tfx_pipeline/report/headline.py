"""The verdict on a run in one sentence, and the next commands."""

import shlex
from dataclasses import dataclass

from tfx_pipeline.judging.verdict import refusal, verdicts
from tfx_pipeline.kinds import FUSED
from tfx_pipeline.runs.history import Run
from tfx_pipeline.runs.root import Root


@dataclass(frozen=True)
class Headline:
    """The state of a run (`pushed`, `refused`, `failed`, `interrupted` or `running`) and a sentence."""

    state: str
    sentence: str


def headline(run: Run, failure: str) -> Headline:
    """The verdict."""
    stopped = next((step.name for step in run.steps if step.state == run.state), "")
    if run.state == "failed" or failure:
        return Headline("failed", failure or f"{stopped} failed; see the newest file in logs/.")
    if run.state == "interrupted":
        return Headline("interrupted", f"The run was interrupted in {stopped}; run the same command to resume it.")
    if run.state == "running":
        return Headline("running", f"The run is in progress, in {stopped}.")
    judged = verdicts(run)
    warned = "".join(f" Warning: {warning}." for verdict in judged for warning in verdict.warnings)
    if reason := refusal(run, judged):
        return Headline("refused", f"Nothing was pushed: {reason}.{warned}")
    summary = (
        f"trained {' and '.join(run.trained)}"
        if run.trained
        else "trained nothing, because all models came from the cache"
    )
    return Headline("pushed", f"All models are blessed and pushed; this run {summary}.{warned}")


def commands(root: Root, run: Run, state: str) -> list[tuple[str, str]]:
    """Pairs of (purpose, command)."""
    place, folder = shlex.quote(str(root.path)), shlex.quote(str(run.data.get("folder", "FOLDER")))
    caption = shlex.quote(run.caption)
    again = f"easel run --data {folder} --root {place}"
    history = ("Show the run and its data", f"easel runs show {run.id} --root {place}")
    if state == "pushed":
        return [
            ("Serve the models", f"easel serve --root {place}"),
            ("Draw a picture, in another terminal", f"easel generate {caption} --scale 8 -o out.png"),
            ("Roll back to the previous version", f"easel models rollback {FUSED} --root {place}"),
            history,
        ]
    if state == "refused":
        return [("Train longer or lower a threshold, with a settings file", f"{again} --config FILE"), history]
    return [("Resume the run, with the same options as before", again), history]
