"""Where a project keeps its runs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Root:
    """The folder that holds everything of a project's runs.

    Attributes:
        path: To it; `Path()` for what works from inside, so that no path changes where the root is moved.
        view: Another path to it, by which artifacts are named; None for the same.
    """

    path: Path
    view: Path | None = None

    @property
    def pipeline(self) -> Path:
        """Artifacts of all components."""
        return (self.view or self.path) / "pipeline"

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
        """Where an artifact is now, by the URI that was recorded of it; the root may have been moved since."""
        return self.path / within(uri)

    def report(self, run_id: str) -> Path:
        """What people look at of a run, an HTML file."""
        return self.path / "reports" / f"{run_id}.html"


def within(uri: str) -> str:
    """The part of an artifact's URI that stays true wherever its root is: `pipeline/<component>/<output>/<number>`."""
    return f"pipeline/{uri.rpartition('pipeline/')[2]}"
