"""How much memory a process holds, by what it is doing."""

from contextlib import suppress
from pathlib import Path

OF_THE_PROCESS = Path("/proc/self")
FORGET_PEAK = "5"


class PeakMemory:
    """The most RAM that this process held during each of its tasks, on Linux; nothing elsewhere.

    Attributes:
        peaks: MiB by task, once it has ended.
    """

    def __init__(self) -> None:
        self.peaks: dict[str, float] = {}
        self.task = ""

    def begin(self, task: str) -> None:
        """End the task before, and forget how much it held."""
        self.end()
        self.task = task
        with suppress(OSError):
            (OF_THE_PROCESS / "clear_refs").write_text(FORGET_PEAK, encoding="ascii")

    def end(self) -> None:
        """Note what the task held at most."""
        if self.task and (peak := peak_mib()):
            self.peaks[self.task] = peak
        self.task = ""


def peak_mib() -> float | None:
    """The most MiB that this process held since it was last told to forget; None where nobody knows."""
    try:
        lines = (OF_THE_PROCESS / "status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)
