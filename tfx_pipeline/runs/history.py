"""The history of runs, with their pushed models and data, from the MLMD store."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as pb

from tfx_pipeline.runs.guards import is_under_way
from tfx_pipeline.runs.root import Root
from tfx_pipeline.runs.store import open_store

STATES = {
    pb.Execution.COMPLETE: "ran",
    pb.Execution.FAILED: "failed",
    pb.Execution.CACHED: "cached",
    pb.Execution.CANCELED: "canceled",
}
ORIGINS = ("FolderExampleGen", "TextExampleGen")


class HistoryError(Exception):
    """A run or its information does not exist; the message is one sentence."""


RESOLVER = "tfx.dsl.components.common.resolver.Resolver"


@dataclass(frozen=True)
class Artifact:
    """An output of a component, with its type, path and properties."""

    name: str
    kind: str
    uri: str
    properties: dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One component in one run.

    Attributes:
        name: The component's id, such as `Trainer.generator`.
        state: `ran`, `cached`, `failed`, `interrupted`, `running` or `canceled`.
        seconds: Duration in seconds; 0 for a cached step.
        properties: Its settings that are numbers or strings.
        outputs: Its outputs, written or taken from the cache.
    """

    name: str
    state: str
    seconds: float
    properties: dict[str, Any]
    outputs: tuple[Artifact, ...] = ()


@dataclass(frozen=True)
class Run:
    """One run of the pipeline."""

    id: str
    steps: tuple[Step, ...] = field(repr=False)

    @property
    def started(self) -> datetime:
        """When the run started, which its id encodes."""
        return datetime.fromisoformat(self.id)

    @property
    def state(self) -> str:
        """`done`, `failed`, `interrupted` or `running`."""
        states = {step.state for step in self.steps}
        return next((state for state in ("failed", "interrupted", "running") if state in states), "done")

    @property
    def trained(self) -> list[str]:
        """The models that this run trained, without those from the cache."""
        return [name for name, step in self.of("Trainer").items() if step.state == "ran"]

    @property
    def judged(self) -> list[str]:
        """The models whose Evaluators ran."""
        return list(self.of("Evaluator"))

    @property
    def pushed(self) -> dict[str, str]:
        """The pushed version of each model after this run, whether or not this run pushed it."""
        places = {name: step.outputs[0].properties for name, step in self.of("Pusher").items() if step.outputs}
        return {name: place["pushed_version"] for name, place in places.items() if place.get("pushed") == 1}

    @property
    def models(self) -> dict[str, str]:
        """The folders of the trained models, by name."""
        trainers = self.of("Trainer").items()
        return {name: item.uri for name, step in trainers for item in step.outputs if item.name == "model"}

    @property
    def config(self) -> dict[str, Any]:
        """All settings; empty if the run ended before the model cards."""
        step = self.step("CardWriter")
        return json.loads(step.properties["config"]) if step else {}

    @property
    def data(self) -> dict[str, Any]:
        """The training data: the folder, its fingerprint and counts, a caption, and any additional text."""
        pictures, text = (self._recorded(name) for name in ORIGINS)
        if "fingerprint" in text:
            text["file_fingerprint"] = text.pop("fingerprint")
        recorded = pictures | text
        names = ("folder", "spans", "fingerprint", "pictures", "quarantined", "caption", "file", "file_fingerprint")
        return {name: recorded[name] for name in names if recorded.get(name) not in (None, "")}

    @property
    def caption(self) -> str:
        """A caption from the training data, with which to try the models."""
        return str(self.data.get("caption", "a red circle"))

    def _recorded(self, name: str) -> dict[str, Any]:
        step = self.step(name)
        merged = dict(step.properties) if step else {}
        for artifact in step.outputs if step else ():
            merged |= artifact.properties
        return merged

    def of(self, component: str) -> dict[str, Step]:
        """The steps of a component that exists once per model, by the name of the model."""
        steps = {step.name.removeprefix(f"{component}."): step for step in self.steps}
        return {name: step for name, step in steps.items() if name != step.name}

    def step(self, name: str) -> Step | None:
        """The step of a component; None if it did not run."""
        return next((step for step in self.steps if step.name == name), None)

    def output(self, step: str, name: str) -> Path | None:
        """The folder of a step's output, written or cached; None if the run ended before it."""
        ran = self.step(step)
        places = [Path(artifact.uri) for artifact in ran.outputs if artifact.name == name] if ran else []
        return next((place for place in places if place.exists()), None)


class History:
    """The runs of one root.

    Args:
        root: The root of `easel run`.

    Raises:
        HistoryError: There are no runs in the root.
    """

    def __init__(self, root: Root) -> None:
        if not root.metadata.is_file():
            raise HistoryError(
                f"There are no runs in {root.path}: start one with `easel run --root {shlex.quote(str(root.path))}`."
            )
        self.store = open_store(root, read_only=True)
        self.root = root

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        contexts = self.store.get_contexts_by_type("pipeline_run")
        # Not by their names, which are times, because the clock may have been set back.
        newest, *older = sorted(contexts, key=lambda context: context.id, reverse=True) or [None]
        unfinished = "running" if is_under_way(self.root) else "interrupted"
        return (
            [self._run(newest, unfinished), *(self._run(context, "interrupted") for context in older)] if newest else []
        )

    def run(self, name: str) -> Run:
        """The run whose id begins with `name`; `latest` is the newest.

        Raises:
            HistoryError: No run matches, or several do.
        """
        runs = self.runs()
        matches = runs[:1] if name == "latest" else [run for run in runs if run.id.startswith(name)]
        if len(matches) != 1:
            known = ", ".join(run.id for run in (matches or runs)[:5])
            raise HistoryError(
                f"{'Several runs begin' if matches else 'No run begins'} with {name!r}: choose from {known}."
            )
        return matches[0]

    def _run(self, context: pb.Context, unfinished: str) -> Run:
        return Run(context.name, tuple(self._steps(context, unfinished)))

    def _steps(self, context: pb.Context, unfinished: str) -> Iterator[Step]:
        states = STATES | {pb.Execution.RUNNING: unfinished}
        executions = sorted(self.store.get_executions_by_context(context.id), key=lambda execution: execution.id)
        for execution in executions:
            state = states.get(execution.last_known_state, "unknown")
            # In the first run of a root there is nothing to resolve, which TFX records as a failure and ignores.
            state = "ran" if state == "failed" and execution.type == RESOLVER else state
            took = (execution.last_update_time_since_epoch - execution.create_time_since_epoch) / 1000
            yield Step(
                name=self._node(execution),
                state=state,
                seconds=0.0 if state == "cached" else took,
                properties=plain({**execution.properties, **execution.custom_properties}),
                outputs=tuple(self._outputs(execution)),
            )

    def _node(self, execution: pb.Execution) -> str:
        contexts = self.store.get_contexts_by_execution(execution.id)
        node = next(context.name for context in contexts if context.type == "node")
        return node.partition(".")[2]

    def _outputs(self, execution: pb.Execution) -> Iterator[Artifact]:
        events = self.store.get_events_by_execution_ids([execution.id])
        outputs = {
            event.artifact_id: event for event in events if event.type in (pb.Event.OUTPUT, pb.Event.PENDING_OUTPUT)
        }
        for artifact in self.store.get_artifacts_by_id(list(outputs)):
            name = next((step.key for step in outputs[artifact.id].path.steps if step.HasField("key")), artifact.type)
            properties = plain({**artifact.properties, **artifact.custom_properties})
            yield Artifact(name, artifact.type, str(self.root.place(artifact.uri)), properties)


def plain(properties: dict[str, pb.Value]) -> dict[str, Any]:
    """MLMD values as Python values; anything but numbers and strings is left out."""
    kinds = ("int_value", "double_value", "string_value")
    return {
        name: getattr(value, value.WhichOneof("value"))
        for name, value in properties.items()
        if value.WhichOneof("value") in kinds
    }
