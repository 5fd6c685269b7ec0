"""What the HTTP API takes and gives; OpenAI's names where it has the same thing, and Easel's own beside them."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from serving.requests import TEMPERATURE

MOST_PICTURES = 64


def _whole(number: object) -> object:
    """JSON knows no integers: 1.0 is as whole as 1."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _flag(text: object) -> object:
    """A form knows no booleans, only these two words."""
    return {"true": True, "false": False}.get(text, text) if isinstance(text, str) else text


Flag = Annotated[bool, Field(strict=True), BeforeValidator(_flag)]
# The bounds stand first, or else the document would not tell them.
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), BeforeValidator(_whole)]
Count = Annotated[int, Field(ge=1, le=MOST_PICTURES), BeforeValidator(_whole)]
Candidates = Annotated[int, Field(ge=1, le=16), BeforeValidator(_whole)]
Scale = Annotated[int, Field(ge=1, le=8), BeforeValidator(_whole)]
Partial = Annotated[int, Field(ge=0, le=3), BeforeValidator(_whole)]
Text = Annotated[str, Field(max_length=32_000)]
Base64 = Annotated[str, Field(description="PNG, encoded in base64.")]
Version = Annotated[str, Field(max_length=256, description="Label of the version that answers; empty for the newest.")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Common(_Asked):
    size: str = Field(
        "auto", pattern=r"^(auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$", description="`auto`, or WIDTHxHEIGHT."
    )
    response_format: Literal["b64_json"] = "b64_json"
    output_format: Literal["png"] = "png"
    quality: Literal["auto"] = "auto"
    background: Literal["auto", "opaque"] = "auto"
    user: str = Field("", max_length=256, description="Taken, and used for nothing.")
    stream: bool = Field(False, description="Answer with server-sent events as the work goes on.")
    partial_images: Partial = Field(0, description="Above 0, a stream shows drawings before they are restored.")
    label: Version = ""
    provenance: bool = Field(True, description="Write into the PNG what it was made from.")


class Generation(_Common):
    """What to draw."""

    prompt: Text = Field(description="In English or Chinese.")
    model: Literal["text_to_image"] = "text_to_image"
    n: Count = 1
    seed: Seed | None = Field(None, description="Of the first picture; the next count up. Without one, any is drawn.")
    temperature: float = Field(TEMPERATURE, ge=0, le=10, description="How freely the prompt is expanded.")
    expand: bool = Field(True, description="Let the language model complete the prompt.")
    refine: bool = Field(True, description="Let the restorer have the last word.")
    candidates: Candidates = Field(1, description="Drawings, of which the one most like the others is taken.")
    scale: Scale = Field(1, description="How many times finer than the pictures of training.")


class Edit(_Common):
    """What to restore, beside the files `image` and `mask`; numbers come as the texts of a form."""

    model_config = ConfigDict(extra="forbid", strict=False)

    prompt: Text = Field("", description="Taken for the sake of OpenAI's clients: the restorer reads pictures alone.")
    model: Literal["restorer"] = "restorer"
    n: Literal["1"] = "1"
    noise_sigma: float = Field(-1.0, ge=-1, le=255, description="In grey levels; a negative one is estimated.")
    blur_sigma: float = Field(0.0, ge=0, le=2, description="In pixels; not together with holes.")
    stream: Flag = False
    provenance: Flag = True
    enlarge: Flag = Field(False, description="Then draw it at twice its size.")


class CaptionAsked(_Asked):
    """A prompt to be completed."""

    prompt: Text
    seed: Seed = 0
    temperature: float = Field(TEMPERATURE, ge=0, le=10)
    label: Version = ""


class Caption(BaseModel):
    """A full caption."""

    caption: str


class WordsAsked(_Asked):
    """A drawn caption whose words are to be left out, one at a time."""

    caption: Text
    seed: Seed
    refine: bool = True
    candidates: Candidates = 1
    scale: Scale = 1
    pieces: list[Text] | None = Field(
        None,
        max_length=256,
        description="The caption in pieces that are left out whole, which joined must give the caption. Without them, "
        "words with spaces around them, and single characters of scripts that have none.",
    )
    label: Version = ""


class Word(BaseModel):
    """A word, and the pixels that change without it."""

    text: str
    start: int = Field(description="Of the word in the caption, in characters.")
    strength: float = Field(description="Mean change of a pixel, 0 to 1.")
    b64_json: Base64 = Field(description="Grey PNG, base64: how much each pixel changes, 0 to 255.")


class Words(BaseModel):
    """The words that could be left out, in their order."""

    words: list[Word]


class Drawn(BaseModel):
    """One picture."""

    b64_json: Base64
    revised_prompt: str | None = Field(None, description="The caption that was drawn.")
    seed: int | None = None


class Images(BaseModel):
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
    created: int = Field(description="The version that answers.")
    owned_by: Literal["easel"] = "easel"


class Models(BaseModel):
    """The models that the studio needs and the server has."""

    object: Literal["list"] = "list"
    data: list[Model]


class Problem(BaseModel):
    """What is wrong."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None = None
    code: str


class Refusal(BaseModel):
    """The body of every answer that is none."""

    error: Problem
