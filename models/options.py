"""What can be asked of a drawing: the one table that signatures, clients, API, command line, page and docs come from.

It needs the standard library alone, so that a client can read it without TensorFlow.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Option(Generic[Value]):
    """A row of the table.

    Attributes:
        name: of the argument, the input, the field and the flag.
        dtype: of the served tensor, by TensorFlow's name.
        default: what leaving it out stands for.
        help: one sentence.
        least: the smallest value; None where there is no range.
        most: the largest value.
    """

    name: str
    dtype: str
    default: Value
    help: str
    least: Any = None
    most: Any = None

    @property
    def bounds(self) -> dict[str, Any]:
        """The range as keywords of `pydantic.Field`."""
        return {} if self.least is None else {"ge": self.least, "le": self.most}

    @property
    def rule(self) -> str:
        """The range as the beginning of a sentence."""
        return f"{self.name} must be from {self.least} to {self.most}"

    def check(self, value: Any) -> None:
        """Raise ValueError unless the value lies in the range."""
        if self.bounds and not self.least <= value <= self.most:
            raise ValueError(f"{self.rule}, not {value}")


SEED = Option("seed", "int64", 0, "Seed of the first picture; the next ones count up from it.", -(2**63), 2**64 - 1)
# By default freely enough to vary, and rarely off the language that was learned.
TEMPERATURE = Option(
    "temperature", "float32", 0.3, "How freely the prompt is continued; 0 takes the likeliest words.", 0, 10
)
EXPAND = Option("expand", "bool", True, "Continue the prompt to a full caption first.")
REFINE = Option("refine", "bool", True, "Let the restorer refine the drawing.")
CANDIDATES = Option("candidates", "int64", 1, "Draw this many times, and take the one most like the others.", 1, 16)
SCALE = Option("scale", "int64", 1, "Draw this many times finer: 4 makes 128x128 pixels of 32x32.", 1, 8)
TO_PROMPT = Option("to_prompt", "string", None, "Prompt of a second picture to interpolate to; by default the same.")
TO_SEED = Option("to_seed", "int64", None, "Seed of the second picture; by default the same.")
SHARE = Option("share", "float32", 0.0, "How far to interpolate: 0 is the first picture, 1 the second.", 0, 1)

OPTIONS: dict[str, Option[Any]] = {
    option.name: option for option in (TEMPERATURE, EXPAND, REFINE, CANDIDATES, SCALE, TO_PROMPT, TO_SEED, SHARE)
}
"""All but the seed, by name; a served signature takes the first few of them."""


class DrawingOptions(TypedDict, total=False):
    """The options as keyword arguments; None stands for the default."""

    temperature: float | None
    expand: bool
    refine: bool
    candidates: int
    scale: int
    to_prompt: str | None
    to_seed: int | None
    share: float
