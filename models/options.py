"""The options of a drawing: the one table from which signatures, clients, API, command line, page and docs are made.

It imports only the standard library, so that a client can use it without TensorFlow.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Option(Generic[Value]):
    """One option of a drawing.

    Attributes:
        name: Name of the argument, the input, the field and the flag.
        dtype: Name of the served tensor's dtype in TensorFlow.
        default: Value if the option is left out.
        help: One sentence.
        least: Smallest value; None if there is no range.
        most: Largest value.
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
        """Raise ValueError unless the value is in the range."""
        if self.bounds and not self.least <= value <= self.most:
            raise ValueError(f"{self.rule}, not {value}")


SEED = Option(
    "seed",
    "int64",
    0,
    "Random seed of the first picture; each further picture uses the next seed.",
    -(2**63),
    2**64 - 1,
)
# The default varies the captions but rarely leaves the language of the training data.
TEMPERATURE = Option(
    "temperature", "float32", 0.3, "Sampling temperature of the caption; 0 always takes the likeliest word.", 0, 10
)
EXPAND = Option("expand", "bool", True, "Expand the prompt to a full caption first, unless it has unknown words.")
REFINE = Option("refine", "bool", True, "Refine the drawing with the restorer.")
CANDIDATES = Option(
    "candidates", "int64", 1, "Draw this many candidates and return the one most similar to the others.", 1, 16
)
SCALE = Option("scale", "int64", 1, "Upscale factor: 4 draws 128x128 instead of 32x32 pixels.", 1, 8)
TO_PROMPT = Option(
    "to_prompt", "string", None, "Prompt of a second picture to interpolate towards; by default, the same prompt."
)
TO_SEED = Option("to_seed", "int64", None, "Random seed of the second picture; by default, the same seed.")
SHARE = Option("share", "float32", 0.0, "Interpolation weight: 0 is the first picture, 1 the second.", 0, 1)

OPTIONS: dict[str, Option[Any]] = {
    option.name: option for option in (TEMPERATURE, EXPAND, REFINE, CANDIDATES, SCALE, TO_PROMPT, TO_SEED, SHARE)
}
"""All options except the seed, by name; a served signature takes the first few of them."""


class DrawingOptions(TypedDict, total=False):
    """The options as keyword arguments; None means the default."""

    temperature: float | None
    expand: bool
    refine: bool
    candidates: int
    scale: int
    to_prompt: str | None
    to_seed: int | None
    share: float
