"""The served signatures, implemented with the models of a bundle."""

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from models.options import OPTIONS, SEED
from serving.bundle.drawing import Artist
from serving.bundle.restoring import ESTIMATED, Pixels
from serving.requests import ServingError, Signature, Spec
from serving.tensors import strings, to_array, to_proto
from serving.wire import serving_pb2 as wire

Row = Mapping[str, Any]
DTYPES = {
    **{option.name: option.dtype for option in (SEED, *OPTIONS.values())},
    **dict.fromkeys(("prompt", "caption", "language", "image_bytes", "mask_bytes"), "string"),
    **dict.fromkeys(("noise_sigma", "blur_sigma", "embedding"), "float32"),
    **dict.fromkeys(("expanded_prompt", "read_as", "unknown_words", "text", "prompts"), "string"),
    "length": "int32",
    "picture_size": "int64",
}
FIELDS = {"float32": "float_val", "int64": "int64_val"}
WIDE = ("embedding", "prompts")
"""Outputs with more than one number or string per row."""
DRAWN = ("image_bytes", "expanded_prompt", "read_as", "unknown_words")


class Endpoint(NamedTuple):
    """A signature.

    Attributes:
        answer: maps a row of inputs to a row of outputs.
        takes: names of the inputs.
        gives: names of the outputs.
    """

    answer: Callable[[Row], Row]
    takes: tuple[str, ...]
    gives: tuple[str, ...]


class BundledModels:
    """The models `text_to_image`, `language_model` and `restorer` of a bundle, in its only version.

    Args:
        folder: a folder written by `easel export litert`.

    Raises:
        BundleError: the folder holds no bundle, or one of another format.

    """

    def __init__(self, folder: Path) -> None:
        self._artist = Artist(folder)
        names = tuple(OPTIONS)
        text_to_image = {
            name: Endpoint(self._draw, ("prompt", "seed", *names[:count]), DRAWN)
            for name, count in (("serving_default", 0), ("options", 3), ("candidates", 4), ("scaled", 5), ("draw", 5))
        }
        restored = ("image_bytes",)
        self._models = {
            "text_to_image": text_to_image
            | {
                "blend": Endpoint(self._draw, ("prompt", "seed", *names), DRAWN),
                "facts": Endpoint(self._facts, ("language",), ("prompts", "picture_size")),
            },
            "language_model": {
                "serving_default": Endpoint(self._continue, ("prompt", "seed", "temperature"), ("text",)),
                "continue_by": Endpoint(self._continue, ("prompt", "seed", "temperature", "length"), ("text",)),
                "embed": Endpoint(self._embed, ("caption",), ("embedding",)),
            },
            "restorer": {
                "serving_default": Endpoint(self._restore, ("image_bytes", "noise_sigma"), restored),
                "sharpen": Endpoint(self._restore, ("image_bytes", "noise_sigma", "blur_sigma"), restored),
                "inpaint": Endpoint(self._restore, ("image_bytes", "mask_bytes", "noise_sigma"), restored),
                "enlarge": Endpoint(self._enlarge, ("image_bytes",), restored),
            },
        }

    def versions(self, model: str) -> list[int]:
        """The versions of a model.

        Raises:
            ServingError: NOT_FOUND, there is no such model.

        """
        self._endpoints(model)
        return [self._artist.facts.version]

    def signatures(self, model: str) -> dict[str, Signature]:
        """The inputs and outputs of each signature.

        Raises:
            ServingError: NOT_FOUND, there is no such model.

        """
        return {name: Signature(_spec(each.takes), _spec(each.gives)) for name, each in self._endpoints(model).items()}

    def answer(self, request: wire.PredictRequest) -> wire.PredictResponse:
        """Answer a request, row by row.

        Raises:
            ServingError: there is no such model, version or signature, or an input is wrong.

        """
        spec, version = request.model_spec, self._artist.facts.version
        if spec.HasField("version") and spec.version.value != version:
            raise ServingError(f"The bundle holds version {version} and no {spec.version.value}.", "NOT_FOUND")
        endpoints, name = self._endpoints(spec.name), spec.signature_name or "serving_default"
        if name not in endpoints:
            known = ", ".join(endpoints)
            raise ServingError(f'"{spec.name}" has no signature {name}: choose among {known}.', "INVALID_ARGUMENT")
        endpoint = endpoints[name]
        try:
            answers = [endpoint.answer(row) for row in _rows(endpoint, request.inputs)]
        except ValueError as error:
            raise ServingError(f'"{spec.name}" refused the request: {error}', "INVALID_ARGUMENT") from None
        outputs = {column: _column(column, [row[column] for row in answers]) for column in endpoint.gives}
        answered = wire.ModelSpec(name=spec.name, signature_name=name)
        answered.version.value = version
        return wire.PredictResponse(model_spec=answered, outputs=outputs)

    def _endpoints(self, model: str) -> dict[str, Endpoint]:
        if model not in self._models:
            held = ", ".join(self._models)
            raise ServingError(f'The bundle holds no "{model}", but {held}.', "NOT_FOUND")
        return self._models[model]

    def _draw(self, row: Row) -> Row:
        drawn = self._artist.draw(**row)
        prompts = [row["prompt"], *([row["to_prompt"]] if "to_prompt" in row else [])]
        nearer = prompts[0 if row.get("share", 0) < 0.5 else -1]
        return {
            "image_bytes": _png(drawn.picture),
            "expanded_prompt": drawn.caption,
            "read_as": "" if drawn.read == nearer else drawn.read,
            "unknown_words": self._artist.unknown(*prompts),
        }

    def _facts(self, row: Row) -> Row:
        facts = self._artist.facts
        longest = max(map(len, facts.prompts.values()), default=0)
        some = facts.prompts.get(row["language"], ())
        return {"prompts": [*some, *[""] * (longest - len(some))], "picture_size": facts.picture_size}

    def _continue(self, row: Row) -> Row:
        model = self._artist.language_model
        prompt = model.tokenizer.correct(row["prompt"])
        return {"text": model.continue_text(prompt, row["seed"], row["temperature"], row.get("length"))}

    def _embed(self, row: Row) -> Row:
        return {"embedding": self._artist.language_model.embed(row["caption"])[0]}

    def _restore(self, row: Row) -> Row:
        picture = _decoded("image_bytes", row["image_bytes"], "RGB")
        mask = None
        if "mask_bytes" in row:
            mask = _decoded("mask_bytes", row["mask_bytes"], "L") > 127
            if mask.shape != picture.shape[:2]:
                raise ValueError(f"mask_bytes and image_bytes differ in size; the mask must be {picture.shape[:2]}")
        noise, blur = row.get("noise_sigma", ESTIMATED), row.get("blur_sigma", 0.0)
        return {"image_bytes": _png(self._artist.restorer.restore(picture, mask, noise, blur))}

    def _enlarge(self, row: Row) -> Row:
        return {"image_bytes": _png(self._artist.restorer.enlarge(_decoded("image_bytes", row["image_bytes"], "RGB")))}


def _rows(endpoint: Endpoint, inputs: Mapping[str, wire.TensorProto]) -> Iterator[Row]:
    """The rows of a request, as Python values; strings other than pictures are decoded to text."""
    if unknown := inputs.keys() - set(endpoint.takes):
        raise ValueError(f"there is no input {min(unknown)}: give {', '.join(endpoint.takes)}")
    required = {name for name in endpoint.takes if name not in OPTIONS}
    if missing := required - inputs.keys():
        raise ValueError(f"the input {min(missing)} is missing: give {', '.join(endpoint.takes)}")
    names, columns = list(inputs), np.broadcast_arrays(*map(to_array, inputs.values()))
    for values in zip(*(column.tolist() for column in columns), strict=True):
        row = dict(zip(names, values, strict=True))
        yield {name: _text(value) if _is_text(name, value) else value for name, value in row.items()}


def _is_text(name: str, value: Any) -> bool:
    return isinstance(value, bytes) and not name.endswith("_bytes")


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _column(name: str, values: list[Any]) -> wire.TensorProto:
    """Rows as a tensor, with numbers in the field of their type, as in the responses of TensorFlow Serving."""
    if DTYPES[name] == "string":
        return to_proto(strings(values))
    array = np.array(values, DTYPES[name])
    tensor = to_proto(array)
    tensor.ClearField("tensor_content")
    getattr(tensor, FIELDS[DTYPES[name]]).extend(array.ravel().tolist())
    return tensor


def _spec(names: tuple[str, ...]) -> Spec:
    return {name: (DTYPES[name], (None, None) if name in WIDE else (None,)) for name in names}


def _png(picture: Pixels) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


def _decoded(name: str, encoded: bytes, mode: str) -> Pixels:
    try:
        return np.array(Image.open(io.BytesIO(encoded)).convert(mode))
    except OSError as error:
        raise ValueError(f"{name} holds no picture that can be read: {error}") from None
