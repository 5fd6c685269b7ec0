"""Requests to Easel's models and the parsing of their responses, independent of the transport.

Only `predict` needs NumPy, which takes longer to import than everything else here.
"""

import io
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, Unpack

from models.options import OPTIONS, SEED, TEMPERATURE, DrawingOptions, Option
from serving.wire import serving_pb2 as wire

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from serving.provenance import Drawing, Provenance

ESTIMATE_NOISE = -1.0
# Each takes the inputs of the one before it, and more.
_SIGNATURES = {
    "serving_default": (),
    "options": ("temperature", "expand", "refine"),
    "candidates": ("temperature", "expand", "refine", "candidates"),
    "scaled": ("temperature", "expand", "refine", "candidates", "scale"),
    "blend": tuple(OPTIONS),
}
_FIELDS = {
    "string": (wire.DT_STRING, "string_val"),
    "float32": (wire.DT_FLOAT, "float_val"),
    "int32": (wire.DT_INT32, "int_val"),
    "int64": (wire.DT_INT64, "int64_val"),
    "bool": (wire.DT_BOOL, "bool_val"),
}
_DTYPES = {"prompt": "string", **{option.name: option.dtype for option in (SEED, *OPTIONS.values())}}
_LEFT_OUT = {name: option.default for name, option in OPTIONS.items()} | {"temperature": None}

ImageLike: TypeAlias = "Image.Image | bytes | str | Path"
Inputs: TypeAlias = "Mapping[str, np.ndarray]"
Spec: TypeAlias = dict[str, tuple[str, tuple[int | None, ...] | None]]
Answer = TypeVar("Answer")


class ServingError(Exception):
    """A request failed; the message is one sentence, and `code` the gRPC status name, such as NOT_FOUND."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Picture:
    """One generated picture, with the options of `models.options` with which it was drawn; None is the default.

    Attributes:
        png: the encoded picture, as the server sent it.
        prompt: the prompt as given.
        expanded_prompt: the full caption that was drawn.
        seed: the seed; the same prompt and seed give the same picture.
        version: version of the model.
        unknown_words: words of the prompt that the model does not know, in lower case. Models exported by earlier
            releases report none.
        read_as: the prompt with typing errors corrected; empty if there were none.

    """

    png: bytes
    prompt: str
    expanded_prompt: str
    seed: int
    temperature: float | None
    expand: bool
    refine: bool
    candidates: int
    scale: int
    version: int
    unknown_words: tuple[str, ...] = ()
    read_as: str = ""
    to_prompt: str | None = None
    to_seed: int | None = None
    share: float = 0.0

    @property
    def image(self) -> "Image.Image":
        """The decoded picture."""
        return _decode(self.png)

    @property
    def drawing(self) -> "Drawing":
        """The inputs of the picture."""
        from serving.provenance import Drawing

        return Drawing(**{name: getattr(self, name) for name in Drawing.model_fields})

    @property
    def provenance(self) -> "Provenance":
        """The provenance of the picture."""
        from serving.provenance import of_drawings

        return of_drawings(self.drawing, version=self.version)

    def save(self, path: str | Path, *, provenance: bool = True) -> None:
        """Write a PNG, by default with its provenance, which `easel inspect` reads.

        Raises:
            OSError: the path cannot be written.

        """
        from serving.provenance import inscribe

        Path(path).write_bytes(inscribe(self.png, self.provenance) if provenance else self.png)

    def _repr_png_(self) -> bytes:
        return self.png


@dataclass(frozen=True)
class Facts:
    """Facts about a text-to-image model, which it reports itself.

    Attributes:
        picture_size: side in pixels of a picture at scale 1.
        prompts: example prompts by language code; empty for a model exported without any.

    """

    picture_size: int
    prompts: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a signature: dtype and shape by name; None stands for a dynamic size or rank."""

    inputs: Spec
    outputs: Spec


@dataclass(frozen=True)
class Ask(Generic[Answer]):
    """A Predict request, and the function that parses its response."""

    request: wire.PredictRequest
    read: Callable[[wire.PredictResponse], Answer]


def seeds_from(seed: int, count: int) -> list[int]:
    """Return consecutive seeds as signed 64-bit integers.

    The bits of a seed are kept, so that each seed from 0 to 2^64-1 gives a picture of its own; after the last seed
    comes 0.

    Raises:
        ServingError: INVALID_ARGUMENT, the seed has more than 64 bits.
        TypeError: It is not an integer.

    """
    try:
        first = operator.index(seed)
    except TypeError:
        raise TypeError(f"seed must be an integer, not {seed!r}") from None
    _check(SEED, first)
    return [(first + number + 2**63) % 2**64 - 2**63 for number in range(count)]


def generate(
    prompt: str | Sequence[str],
    seed: int | Sequence[int],
    label: str = "",
    version: int | None = None,
    **options: Unpack[DrawingOptions],
) -> Ask[list[Picture]]:
    """Ask for one picture for each prompt; see `serving.client.Client.generate`."""
    how = _asked(options)
    prompts, seeds = _paired(prompt, seed)
    count = len(prompts)
    own: dict[str, list[Any]] = {"temperature": [TEMPERATURE.default] * count, "to_prompt": prompts, "to_seed": seeds}
    changed = {name for name, value in how.items() if value != _LEFT_OUT[name]}
    signature, taken = next((name, taken) for name, taken in _SIGNATURES.items() if changed <= set(taken))
    columns = {name: own[name] if how[name] is None else [how[name]] * count for name in taken}
    columns |= {"prompt": prompts, "seed": seeds}
    inputs = {name: _tensor(_DTYPES[name], values) for name, values in columns.items()}

    def read(response: wire.PredictResponse) -> list[Picture]:
        def column(name: str) -> list[bytes]:
            # Models exported by earlier releases lack some outputs.
            return list(response.outputs[name].string_val) or [b""] * count

        pngs, captions = column("image_bytes"), column("expanded_prompt")
        drawn = zip(pngs, prompts, captions, seeds, column("unknown_words"), column("read_as"), strict=True)
        by = response.model_spec.version.value
        return [
            Picture(
                png,
                asked,
                caption.decode(),
                at,
                version=by,
                unknown_words=_words(unknown),
                read_as=read.decode(),
                **how,
            )
            for png, asked, caption, at, unknown, read in drawn
        ]

    return Ask(_request("text_to_image", signature, inputs, label, version), read)


def _asked(options: DrawingOptions) -> dict[str, Any]:
    """All options with their values, checked."""
    if unknown := options.keys() - OPTIONS.keys():
        raise TypeError(f"a drawing has no option {min(unknown)}: choose from {', '.join(OPTIONS)}")
    how = _LEFT_OUT | {name: value for name, value in options.items() if value is not None}
    for name, value in how.items():
        if value is not None:
            _check(OPTIONS[name], value)
    if how["to_seed"] is not None:
        (how["to_seed"],) = seeds_from(how["to_seed"], 1)
    # With a share of 0, the second picture is not used.
    return how if how["share"] else how | {"to_prompt": None, "to_seed": None}


def _check(option: Option[Any], value: float) -> None:
    try:
        option.check(value)
    except ValueError as error:
        raise ServingError(str(error), "INVALID_ARGUMENT") from None


def _words(listed: bytes) -> tuple[str, ...]:
    """The distinct words of a list separated by spaces."""
    return tuple(dict.fromkeys(listed.decode().split()))


def facts(languages: Sequence[str], label: str) -> Ask[Facts]:
    """Ask for the facts of the model that draws; see `serving.client.Client.facts`."""

    def read(response: wire.PredictResponse) -> Facts:
        (size, *_), prompts = response.outputs["picture_size"].int64_val, response.outputs["prompts"].string_val
        count = len(prompts) // len(languages)
        rows = (prompts[row * count : (row + 1) * count] for row in range(len(languages)))
        by_language = (
            (code, tuple(prompt.decode() for prompt in row if prompt))
            for code, row in zip(languages, rows, strict=True)
        )
        return Facts(size, dict(by_language))

    return Ask(_request("text_to_image", "facts", {"language": _tensor("string", languages)}, label), read)


def restore(
    image: ImageLike, mask: "ImageLike | None", noise_sigma: float | None, blur_sigma: float, label: str
) -> "Ask[Image.Image]":
    """Ask for one picture to be restored; see `serving.client.Client.restore`."""
    if mask is not None and blur_sigma:
        raise ValueError("mask and blur_sigma cannot be combined: fill the holes first, then sharpen the result.")
    sigma = ESTIMATE_NOISE if noise_sigma is None else noise_sigma
    encoded = _encoded("image", image)
    inputs = {"image_bytes": _tensor("string", [encoded]), "noise_sigma": _tensor("float32", [sigma])}
    signature = "serving_default"
    if mask is not None:
        signature, inputs["mask_bytes"] = "inpaint", _tensor("string", [_encoded_mask(mask, encoded)])
    if blur_sigma:
        signature, inputs["blur_sigma"] = "sharpen", _tensor("float32", [blur_sigma])
    return Ask(_request("restorer", signature, inputs, label), _picture)


def enlarge(image: ImageLike, label: str) -> "Ask[Image.Image]":
    """Ask for one picture at twice its size; see `serving.client.Client.enlarge`."""
    inputs = {"image_bytes": _tensor("string", [_encoded("image", image)])}
    return Ask(_request("restorer", "enlarge", inputs, label), _picture)


def _picture(response: wire.PredictResponse) -> "Image.Image":
    image = _decode(response.outputs["image_bytes"].string_val[0])
    image.info["model_version"] = response.model_spec.version.value
    return image


def continue_prompt(prompt: str, seed: int, temperature: float, length: int | None, label: str) -> Ask[str]:
    """Ask for a prompt to be completed; see `serving.client.Client.continue_prompt`."""
    inputs = {
        "prompt": _tensor("string", [prompt]),
        "seed": _tensor("int64", seeds_from(seed, 1)),
        "temperature": _tensor("float32", [temperature]),
    }
    signature = "serving_default"
    if length is not None:
        signature, inputs["length"] = "continue_by", _tensor("int32", [length])
    request = _request("language_model", signature, inputs, label)
    return Ask(request, lambda response: response.outputs["text"].string_val[0].decode())


def predict(model: str, inputs: Inputs, signature: str, label: str) -> "Ask[dict[str, np.ndarray]]":
    """Call any signature of any model; see `serving.client.Client.predict`."""
    from serving.tensors import to_array, to_proto

    request = _request(model, signature, {name: to_proto(array) for name, array in inputs.items()}, label)
    return Ask(request, lambda answer: {name: to_array(tensor) for name, tensor in answer.outputs.items()})


def status(model: str) -> wire.GetModelStatusRequest:
    """Ask for the versions of a model."""
    return wire.GetModelStatusRequest(model_spec=wire.ModelSpec(name=model))


def read_status(response: wire.GetModelStatusResponse) -> list[tuple[int, str, str]]:
    """Return versions, newest first, with their states and error messages."""
    name = wire.ModelVersionStatus.State.Name
    return [
        (served.version, name(served.state), served.status.error_message) for served in response.model_version_status
    ]


def metadata(model: str) -> wire.GetModelMetadataRequest:
    """Ask for the signatures of a model."""
    spec = wire.ModelSpec(name=model)
    return wire.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])


def read_signatures(response: wire.GetModelMetadataResponse) -> dict[str, Signature]:
    """Return the inputs and outputs of each signature."""
    packed = response.metadata["signature_def"].value
    return signatures_from(wire.SignatureDefMap.FromString(packed).signature_def)


def signatures_from(definitions: Mapping[str, wire.SignatureDef]) -> dict[str, Signature]:
    """Return the inputs and outputs of each signature, except those that TensorFlow adds for itself."""
    return {
        name: Signature(_spec(definition.inputs), _spec(definition.outputs))
        for name, definition in definitions.items()
        if not name.startswith("__")
    }


def _request(
    model: str, signature: str, inputs: Mapping[str, wire.TensorProto], label: str, version: int | None = None
) -> wire.PredictRequest:
    spec = wire.ModelSpec(name=model, signature_name=signature)
    if version is not None:
        spec.version.value = version
    elif label:
        spec.version_label = label
    return wire.PredictRequest(model_spec=spec, inputs=inputs)


def _tensor(dtype: str, values: Sequence[Any]) -> wire.TensorProto:
    kind, field = _FIELDS[dtype]
    shape = wire.TensorShapeProto(dim=[wire.TensorShapeProto.Dim(size=len(values))])
    content: dict[str, Any] = {field: [_utf8(value) if isinstance(value, str) else value for value in values]}
    return wire.TensorProto(dtype=kind, tensor_shape=shape, **content)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        message = f"the text {text!r} cannot be encoded as UTF-8: leave out {text[error.start : error.end]!r}"
        raise ServingError(message, "INVALID_ARGUMENT") from None


def _paired(prompt: str | Sequence[str], seed: int | Sequence[int]) -> tuple[list[str], list[int]]:
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    seeds = [seeds_from(number, 1)[0] for number in (seed if isinstance(seed, Iterable) else [seed])]
    count = max(len(prompts), len(seeds))
    if not prompts or not seeds or len(prompts) not in (1, count) or len(seeds) not in (1, count):
        raise ServingError(
            f"{len(prompts)} prompts and {len(seeds)} seeds do not match: give one seed, or one for each prompt",
            "INVALID_ARGUMENT",
        )
    return prompts * (count // len(prompts)), seeds * (count // len(seeds))


def _encoded(role: Literal["image", "mask"], source: ImageLike) -> bytes:
    """Encode a picture as a PNG or JPEG that every server decodes in the same way."""
    from serving import images

    if isinstance(source, str) and (what := images.mistaken(source.encode(errors="replace"))):
        raise ServingError(f"{role} is {what}: give the bytes of the picture, or its path", "INVALID_ARGUMENT")
    try:
        return images.portable(source) if role == "image" else images.as_png(images.read_mask(source))
    except images.PictureError as error:
        name = f"{role} {source}" if isinstance(source, str | Path) else role
        raise ServingError(f"{name}: {error}", "INVALID_ARGUMENT") from error


def _encoded_mask(source: ImageLike, image: bytes) -> bytes:
    from serving.images import size_of

    mask = _encoded("mask", source)
    (width, height), (wanted, high) = size_of(mask), size_of(image)
    if (width, height) != (wanted, high):
        message = f"mask has {width}x{height} pixels, and image {wanted}x{high}: make it so"
        raise ServingError(message, "INVALID_ARGUMENT")
    return mask


def _decode(encoded: bytes) -> "Image.Image":
    from PIL import Image

    image = Image.open(io.BytesIO(encoded))
    image.load()
    return image


def _spec(tensors: Mapping[str, wire.TensorInfo]) -> Spec:
    return {name: (wire.DataType.Name(tensor.dtype)[3:].lower(), _shape(tensor)) for name, tensor in tensors.items()}


def _shape(info: wire.TensorInfo) -> tuple[int | None, ...] | None:
    if info.tensor_shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
