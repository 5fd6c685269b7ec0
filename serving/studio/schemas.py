"""Requests and responses of the HTTP API, with OpenAI's names if it has the same concept."""

from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from models import options
from models.options import Option

MOST_PICTURES = 64
# OpenAI's options that have no effect here, with the values that match the actual behaviour; None for any value.
_SETTLED: dict[str, tuple[object, ...] | None] = {
    "background": ("auto", "opaque"),
    "output_format": ("png",),
    "quality": ("auto",),
    "safety_identifier": None,
    "user": None,
}


def _whole(number: object) -> object:
    """Accept 1.0 as the integer 1, because JSON does not distinguish them."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _flag(text: object) -> object:
    """Accept the words for booleans in a form, also capitalized as in Python."""
    return {"true": True, "false": False}.get(text.lower(), text) if isinstance(text, str) else text


Flag = Annotated[bool, Field(strict=True), BeforeValidator(_flag)]
# The bounds come first, or they would be missing in the document.
Seed = Annotated[int, Field(**options.SEED.bounds), BeforeValidator(_whole)]
Count = Annotated[int, Field(ge=1, le=MOST_PICTURES), BeforeValidator(_whole)]
Candidates = Annotated[int, Field(**options.CANDIDATES.bounds), BeforeValidator(_whole)]
Scale = Annotated[int, Field(**options.SCALE.bounds), BeforeValidator(_whole)]
Temperature = Annotated[float, Field(**options.TEMPERATURE.bounds)]
Share = Annotated[float, Field(**options.SHARE.bounds)]
Partial = Annotated[int, Field(ge=0, le=3), BeforeValidator(_whole)]
Text = Annotated[str, Field(max_length=32_000)]
Base64 = Annotated[str, Field(description="PNG, encoded in base64.")]
Version = Annotated[str, Field(max_length=256, description="Label of the version to use; empty for the newest.")]


def _field(option: Option[Any]) -> Any:
    return Field(option.default, description=option.help)


def _nullable(schema: dict[str, Any]) -> None:
    """Allow null for every optional property, for its default."""
    for name in schema["properties"].keys() - set(schema.get("required", ())):
        given = schema["properties"][name]
        annotations = {key: given.pop(key) for key in ("default", "description", "title") if key in given}
        schema["properties"][name] = {"anyOf": [given, {"type": "null"}], **annotations}


class _Asked(BaseModel):
    """A request of any OpenAI client: null means the default, and unknown options are ignored with a note."""

    model_config = ConfigDict(extra="allow", strict=True, json_schema_extra=_nullable)
    _absent: ClassVar[tuple[object, ...]] = (None,)

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value not in cls._absent}

    @property
    def notes(self) -> list[str]:
        """Notes on options of the request that had no effect, as sentences."""
        extra = (self.model_extra or {}).items()
        return [self._note(name) for name, value in extra if not _is_settled(name, value)]

    def _note(self, name: str) -> str:
        likely = get_close_matches(name, type(self).model_fields, 1, 0.7)
        return f"{name} was ignored: there is no such option here{f'; did you mean {likely[0]}?' if likely else '.'}"


def _is_settled(name: str, value: object) -> bool:
    kept = _SETTLED.get(name, ())
    return kept is None or value in kept


class _Common(_Asked):
    size: str = Field("auto", description="`auto`, or WIDTHxHEIGHT; the nearest possible size is drawn. See `notes`.")
    response_format: str = Field("b64_json", description="`url` also returns a URL of each picture.")
    model: str = ""
    stream: bool = Field(False, description="Respond with server-sent events while drawing.")
    partial_images: Partial = Field(0, description="Above 0, a stream contains drawings before they are refined.")
    label: Version = ""
    provenance: bool = Field(True, description="Write into the PNG how it was made.")

    @property
    def notes(self) -> list[str]:
        """Notes on options of the request that had no effect, as sentences."""
        sentences = super().notes
        own = type(self).model_fields["model"].default
        if self.model != own:
            sentences.append(f"model {self.model} was ignored: {own} is the model here.")
        if self.response_format not in ("b64_json", "url"):
            sentences.append(f"response_format {self.response_format} was ignored: choose b64_json or url.")
        return sentences


class Generation(_Common):
    """A drawing request."""

    prompt: Text = Field(description="In English or Chinese.")
    model: str = "text_to_image"
    n: Count = 1
    seed: Seed | None = Field(None, description=f"{options.SEED.help} By default, a random one.")
    temperature: Temperature = _field(options.TEMPERATURE)
    expand: bool = _field(options.EXPAND)
    refine: bool = _field(options.REFINE)
    candidates: Candidates = _field(options.CANDIDATES)
    scale: Scale = _field(options.SCALE)
    to_prompt: Text | None = _field(options.TO_PROMPT)
    to_seed: Seed | None = _field(options.TO_SEED)
    share: Share = _field(options.SHARE)


class Edit(_Common):
    """The options of a restoration, besides the files `image` and `mask`; in a form, numbers are texts."""

    model_config = ConfigDict(strict=False)
    # How clients write null in a form.
    _absent = (None, "", "null", "None")

    prompt: Text = Field("", description="Ignored; accepted for OpenAI's clients.")
    model: str = "restorer"
    n: Count = Field(1, description="Always one picture, because restoration is deterministic.")
    noise_sigma: float = Field(
        -1.0,
        ge=-1,
        le=255,
        description="Standard deviation of the noise in grey levels; a negative value estimates it.",
    )
    blur_sigma: float = Field(
        0.0, ge=0, le=2, description="Standard deviation of the blur in pixels; not together with holes."
    )
    stream: Flag = False
    provenance: Flag = True
    enlarge: Flag = Field(False, description="Also double the width and height.")

    @property
    def notes(self) -> list[str]:
        """Notes on options of the request that had no effect, as sentences."""
        alone = f"n {self.n} was ignored: one picture is restored."
        return super().notes + [alone] * (self.n > 1)


class CaptionAsked(_Asked):
    """A prompt to complete."""

    prompt: Text
    seed: Seed = options.SEED.default
    temperature: Temperature = options.TEMPERATURE.default
    label: Version = ""


class _Answer(BaseModel):
    notes: list[str] = Field([], description="What was ignored or changed, as sentences.")


class Caption(_Answer):
    """A full caption."""

    caption: str


class WordsAsked(_Asked):
    """A caption whose words are left out, one at a time."""

    caption: Text
    seed: Seed
    refine: bool = options.REFINE.default
    candidates: Candidates = options.CANDIDATES.default
    scale: Scale = options.SCALE.default
    pieces: list[Text] | None = Field(
        None,
        max_length=256,
        description="How to split the caption; the pieces joined must give the caption. By default, "
        "words between spaces, and single characters in scripts without spaces.",
    )
    label: Version = ""


class Word(BaseModel):
    """A word, and the pixels that change without it."""

    text: str
    start: int = Field(description="Position of the word in the caption, in characters.")
    strength: float = Field(description="Mean change over all pixels, 0 to 1.")
    b64_json: Base64 = Field(description="Grey PNG, base64: how much each pixel changes, 0 to 255.")


class Words(_Answer):
    """The words that could be left out, in order."""

    words: list[Word]


class Drawn(BaseModel):
    """One picture."""

    b64_json: Base64
    url: str | None = Field(default=None, description="A temporary URL, if `response_format` is `url`.")
    revised_prompt: str | None = Field(None, description="The caption that was drawn.")
    seed: int | None = None
    unknown_words: list[str] = Field(default=[], description="Words of the prompt that the model does not know.")
    read_as: str = Field(default="", description="The prompt with typing errors corrected; empty if there were none.")


class Images(_Answer):
    """Pictures."""

    created: int = Field(description="Seconds since 1970.")
    data: list[Drawn]
    background: Literal["opaque"] = "opaque"
    output_format: Literal["png"] = "png"
    quality: Literal["auto"] = "auto"
    size: str


class Model(BaseModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="The served version.")
    owned_by: Literal["easel"] = "easel"
    picture_size: int | None = Field(
        default=None, description="Side in pixels of a picture at scale 1; null if the model does not report it."
    )
    prompts: dict[str, list[str]] = Field(default={}, description="Prompts to try, by language code.")
    signatures: list[str] = Field(
        default=[], description="Its signatures on TensorFlow Serving's gRPC and REST endpoints."
    )


class Models(BaseModel):
    """The models that the studio needs and the server has."""

    object: Literal["list"] = "list"
    data: list[Model]


class Problem(BaseModel):
    """An error."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None = None
    code: str


class Refusal(BaseModel):
    """The body of every error response."""

    error: Problem
