"""Where a project keeps its runs."""

from dataclasses import dataclass
from pathlib import Path

INSIDE = Path("/proc/self/cwd")
"""An absolute path to the working folder on Linux, the same wherever that folder is and whatever its name."""


@dataclass(frozen=True)
class Root:
    """The folder that holds everything of a project's runs."""

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
        """A copy of the store as the last run left it that ended."""
        return self.path / "metadata.kept.sqlite"

    @property
    def checkpoints(self) -> Path:
        """Backups of trainings that are under way."""
        return self.path / "checkpoints"

    @property
    def shared_training(self) -> Path:
        """The training that other machines are to join, while there is one."""
        return self.checkpoints / "shared_training.json"

    @property
    def drift(self) -> Path:
        """The last comparison of new data with old, a page to look at."""
        return self.path / "drift.html"

    @property
    def logs(self) -> Path:
        """What the components said, a file a run."""
        return self.path / "logs"

    @property
    def pushed(self) -> Path:
        """`<model>/<version>/` for servers."""
        return self.path / "pushed"

    def place(self, uri: str) -> Path:
        """Where an artifact is, given its recorded URI, which may date from before the root was moved."""
        return self.pipeline / uri.rpartition("pipeline/")[2].lstrip("/")

    def report(self, run_id: str) -> Path:
        """What people look at of a run, an HTML file."""
        return self.path / "reports" / f"{run_id}.html"
