"""Removing the artifacts of old runs, except those that are still needed."""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as pb

from tfx_pipeline.runs.history import History, Run, plain
from tfx_pipeline.runs.root import Root
from tfx_pipeline.runs.store import open_store

INPUTS = (pb.Event.INPUT, pb.Event.DECLARED_INPUT)
OUTPUTS = (pb.Event.OUTPUT, pb.Event.PENDING_OUTPUT, pb.Event.DECLARED_OUTPUT)
# Evaluations are not ancestors of a model: otherwise all earlier models would be, through the baseline of each.
JUDGEMENTS = ("ModelBlessing", "InfraBlessing", "tfx_pipeline.ModelCards")


@dataclass(frozen=True)
class Cleaned:
    """The result of a cleaning.

    Attributes:
        runs: Ids of the runs whose artifacts were kept.
        artifacts: Number of removed artifacts.
        megabytes: Disk space freed.
    """

    runs: list[str]
    artifacts: int
    megabytes: float


def clean(root: Root, keep: int) -> Cleaned:
    """Remove the artifacts of all but the newest runs, except those that are needed and their ancestors.

    Needed are the newest `keep` runs; every pushed version, with all the data and models from which it was made,
    including those of its initial weights; the last blessed model of each name, the baseline of the next one; and the
    statistics with which the next data are compared. All runs remain in the list.

    Args:
        root: The root; nothing may run there at the same time.
        keep: Number of runs whose artifacts are kept, at least 1.
    """
    runs = History(root).runs()
    lineage = Lineage(root)
    needed = lineage.made(runs[:keep]) | lineage.ancestors(standing(root, runs)) | lineage.at(compared_with(runs))
    removed, size = 0, 0
    for artifact in lineage.removable(needed):
        # Marked first, so that the cache ignores artifacts that an interruption leaves partly removed.
        artifact.state = pb.Artifact.DELETED
        lineage.store.put_artifacts([artifact])
        place = root.place(artifact.uri)
        size += disk_usage(place)
        shutil.rmtree(place)
        removed += 1
    return Cleaned([run.id for run in runs[:keep]], removed, round(size / 1e6, 1))


def standing(root: Root, runs: Iterable[Run]) -> Iterator[str]:
    """Folders of the pushed models that still exist."""
    for run in runs:
        for name, version in run.pushed.items():
            if (root.pushed / name / version).is_dir():
                yield from places(run, f"Exporter.{name}", "serving") or places(run, "Assembler", "model")


def places(run: Run, step: str, output: str) -> list[str]:
    """The folders of an output of a step."""
    ran = run.step(step)
    return [item.uri for item in ran.outputs if item.name == output] if ran else []


def compared_with(runs: Iterable[Run]) -> Iterator[str]:
    """Folders needed as baselines of the next run: the last blessed model of each name, the last accepted data."""
    last: dict[str, list[str]] = {}
    for run in runs:
        for step in (step for step in run.steps if step.state in ("ran", "cached")):
            made, model = [item.uri for item in step.outputs], step.name.partition(".")[2]
            if step.name == f"Evaluator.{model}" and any(item.properties.get("blessed") == 1 for item in step.outputs):
                last.setdefault(step.name, [*made, *places(run, f"Exporter.{model}", "judged")])
            elif step.name == "DriftCheck" and made:
                last.setdefault(step.name, made)
    for made in last.values():
        yield from made


def disk_usage(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


class Lineage:
    """The lineage of the artifacts in a root."""

    def __init__(self, root: Root) -> None:
        self.store = open_store(root)
        self.root = root
        self.artifacts = {artifact.id: artifact for artifact in self.store.get_artifacts()}
        self.by_uri = {str(root.place(artifact.uri)): artifact.id for artifact in self.artifacts.values()}
        self.executions = {execution.id: execution for execution in self.store.get_executions()}
        events = self.store.get_events_by_execution_ids(list(self.executions))
        self.takes = links((event.execution_id, event.artifact_id) for event in events if event.type in INPUTS)
        self.makes = links((event.execution_id, event.artifact_id) for event in events if event.type in OUTPUTS)
        self.makers = links((event.artifact_id, event.execution_id) for event in events if event.type in OUTPUTS)

    def made(self, runs: Iterable[Run]) -> set[int]:
        """The artifacts that runs wrote, read or took from the cache."""
        names = {run.id for run in runs}
        contexts = [context for context in self.store.get_contexts_by_type("pipeline_run") if context.name in names]
        executions = [execution.id for item in contexts for execution in self.store.get_executions_by_context(item.id)]
        return {artifact for execution in executions for artifact in self.around(execution)}

    def ancestors(self, uris: Iterable[str]) -> set[int]:
        """All ancestors of the artifacts at these places, with the other outputs of the same steps."""
        waiting = [self.by_uri[uri] for uri in uris if uri in self.by_uri]
        reached: set[int] = set()
        while waiting:
            artifact = waiting.pop()
            if artifact in reached:
                continue
            reached.add(artifact)
            for execution in self.makers.get(artifact, ()):
                reached |= self.makes.get(execution, set())
                waiting += [item for item in self.takes.get(execution, ()) if self.kind(item) not in JUDGEMENTS]
                waiting += [self.by_uri[uri] for uri in self.began_with(execution) if uri in self.by_uri]
        return reached

    def began_with(self, execution: int) -> Iterator[str]:
        """The model with whose weights a training started, if any."""
        given = plain(self.executions[execution].custom_properties).get("custom_config")
        if start := json.loads(given).get("warm_start") if given else None:
            yield str(self.root.place(start))

    def at(self, uris: Iterable[str]) -> set[int]:
        """The artifacts at these places."""
        return {self.by_uri[uri] for uri in uris if uri in self.by_uri}

    def removable(self, needed: set[int]) -> list[pb.Artifact]:
        """All other artifacts on disk in the root."""
        others = (artifact for artifact in self.artifacts.values() if artifact.id not in needed)
        return [artifact for artifact in others if artifact.uri and self.root.place(artifact.uri).is_dir()]

    def around(self, execution: int) -> set[int]:
        """Inputs and outputs of an execution."""
        return self.takes.get(execution, set()) | self.makes.get(execution, set())

    def kind(self, artifact: int) -> str:
        """The type of an artifact."""
        return str(self.artifacts[artifact].type)


def links(pairs: Iterable[tuple[int, int]]) -> dict[int, set[int]]:
    """The second members of pairs by the first."""
    linked: dict[int, set[int]] = {}
    for first, second in pairs:
        linked.setdefault(first, set()).add(second)
    return linked
