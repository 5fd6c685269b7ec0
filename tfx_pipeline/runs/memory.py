"""Peak memory of a process by task."""

from contextlib import suppress
from pathlib import Path

OF_THE_PROCESS = Path("/proc/self")
FORGET_PEAK = "5"


class PeakMemory:
    """The peak memory of this process during each of its tasks, on Linux; nothing on other systems.

    Attributes:
        peaks: MiB by task, once it has ended.
    """

    def __init__(self) -> None:
        self.peaks: dict[str, float] = {}
        self.task = ""

    def begin(self, task: str) -> None:
        """End the previous task and reset the peak."""
        self.end()
        self.task = task
        with suppress(OSError):
            (OF_THE_PROCESS / "clear_refs").write_text(FORGET_PEAK, encoding="ascii")

    def end(self) -> None:
        """Record the peak of the task."""
        if self.task and (peak := peak_mib()):
            self.peaks[self.task] = peak
        self.task = ""


def peak_mib() -> float | None:
    """The peak memory in MiB since the last reset; None if it is not available."""
    try:
        lines = (OF_THE_PROCESS / "status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)
