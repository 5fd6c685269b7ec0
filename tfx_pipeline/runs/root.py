"""The root folder of the runs of a project."""

from dataclasses import dataclass
from pathlib import Path

INSIDE = Path("/proc/self/cwd")
"""An absolute path to the working directory on Linux that does not contain its name."""


@dataclass(frozen=True)
class Root:
    """The folder with all files of a project's runs."""

    path: Path

    @property
    def pipeline(self) -> Path:
        """Artifacts of all components."""
        return self.path / "pipeline"

    @property
    def metadata(self) -> Path:
        """The MLMD store, an SQLite file."""
        return self.path / "metadata.sqlite"

    @property
    def kept_metadata(self) -> Path:
        """The backup of the store after the last completed run."""
        return self.path / "metadata.kept.sqlite"

    @property
    def checkpoints(self) -> Path:
        """Backups of trainings in progress."""
        return self.path / "checkpoints"

    @property
    def shared_training(self) -> Path:
        """The description of a training that other machines should join."""
        return self.checkpoints / "shared_training.json"

    @property
    def drift(self) -> Path:
        """The last comparison of new data with old, an HTML page."""
        return self.path / "drift.html"

    @property
    def logs(self) -> Path:
        """The logs, one file per run."""
        return self.path / "logs"

    @property
    def pushed(self) -> Path:
        """`<model>/<version>/` for servers."""
        return self.path / "pushed"

    def place(self, uri: str) -> Path:
        """Where an artifact is, given its recorded URI, which may date from before the root was moved."""
        return self.pipeline / uri.rpartition("pipeline/")[2].lstrip("/")

    def report(self, run_id: str) -> Path:
        """The report of a run, an HTML file."""
        return self.path / "reports" / f"{run_id}.html"
