"""Warm-up records: the requests a server plays while it loads a model, so that the first user does not wait.

They lie in `assets.extra/tf_serving_warmup_requests` of a SavedModel, as a TFRecord file of PredictionLog messages;
TensorFlow Serving reads the same file.

On the command line, each line of input is the body of a columnar REST request:

    echo '{"inputs": {"prompt": ["a red circle"], "seed": [0]}}' | python -m serving.warmup MODEL_DIR --name MODEL
"""

import argparse
import base64
import json
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serving.tensors import dtype_of, strings, to_proto
from serving.wire import serving_pb2 as wire

WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")

Request = tuple[str, Mapping[str, np.ndarray]]


def write_warmup(saved_model_dir: Path, model_name: str, requests: Sequence[Request]) -> Path:
    """Write warm-up requests into an exported SavedModel, replacing any that are there, and return their file.

    Args:
        saved_model_dir: the folder that holds `saved_model.pb`.
        model_name: the name under which the model will be served.
        requests: pairs of a signature name and its inputs by name. Cover every signature and batch size that users
            send, because each costs a trace or an allocation at its first call.

    Raises:
        FileNotFoundError: no SavedModel in that folder.

    """
    if not (saved_model_dir / "saved_model.pb").is_file():
        raise FileNotFoundError(f"{saved_model_dir} holds no saved_model.pb: export the model first")
    path = saved_model_dir / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(_framed(_log(model_name, *request).SerializeToString()) for request in requests))
    return path


def read_warmup(saved_model_dir: Path) -> list[wire.PredictRequest]:
    """Return the Predict requests recorded in a SavedModel, in order; empty where there are none.

    Raises:
        ValueError: a file that is not a TFRecord.

    """
    path = saved_model_dir / WARMUP_FILE
    if not path.is_file():
        return []
    return [wire.PredictionLog.FromString(record).predict_log.request for record in read_records(path)]


def read_records(path: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file.

    Raises:
        ValueError: a length or checksum that does not fit, naming the byte offset.

    """
    data = path.read_bytes()
    offset = 0
    while offset < len(data):
        length = _length(data, offset)
        record = data[offset + 12 : offset + 12 + length]
        if _masked_crc(record) != data[offset + 12 + length : offset + 16 + length]:
            raise ValueError(f"{path.name} is damaged at byte {offset}: the checksum of the record does not fit")
        yield record
        offset += 16 + length


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the requests of the standard input as warm-up records; exit code 1 where they do not fit the model."""
    parser = argparse.ArgumentParser(prog="python -m serving.warmup", description="Write warm-up records.")
    parser.add_argument("model_dir", type=Path, help="the folder that holds saved_model.pb")
    parser.add_argument("--name", required=True, help="the name under which the model will be served")
    options = parser.parse_args(arguments)
    try:
        signatures = _signatures(options.model_dir)
        requests = [_request(line, signatures) for line in sys.stdin if line.strip()]
        print(f"{len(requests)} requests in {write_warmup(options.model_dir, options.name, requests)}")
    except (OSError, ValueError, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _signatures(model_dir: Path) -> Mapping[str, wire.SignatureDef]:
    saved = wire.SavedModel.FromString((model_dir / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0].signature_def


def _request(line: str, signatures: Mapping[str, wire.SignatureDef]) -> Request:
    body = json.loads(line)
    name, inputs = body.get("signature_name", "serving_default"), body.get("inputs", {})
    if name not in signatures:
        raise ValueError(f'no signature "{name}" in the model: choose one of {", ".join(sorted(signatures))}')
    infos = signatures[name].inputs
    if set(inputs) != set(infos):
        raise ValueError(f'signature "{name}" takes {sorted(infos)}, and {sorted(inputs)} are given')
    return name, {key: _array(value, infos[key].dtype) for key, value in inputs.items()}


def _array(value: list[Any], dtype: wire.DataType) -> np.ndarray:
    if dtype == wire.DT_STRING:
        return strings([base64.b64decode(each["b64"]) if isinstance(each, dict) else each for each in value])
    return np.array(value, dtype_of(dtype))


def _length(data: bytes, offset: int) -> int:
    header = data[offset : offset + 8]
    if _masked_crc(header) != data[offset + 8 : offset + 12]:
        raise ValueError(f"no TFRecord begins at byte {offset}: the checksum of its length does not fit")
    return int(struct.unpack("<Q", header)[0])


def _log(model_name: str, signature: str, inputs: Mapping[str, np.ndarray]) -> wire.PredictionLog:
    request = wire.PredictRequest(model_spec=wire.ModelSpec(name=model_name, signature_name=signature))
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(to_proto(array))
    return wire.PredictionLog(predict_log=wire.PredictLog(request=request))


def _framed(record: bytes) -> bytes:
    header = struct.pack("<Q", len(record))
    return header + _masked_crc(header) + record + _masked_crc(record)


def _masked_crc(data: bytes) -> bytes:
    """CRC-32C, rotated and offset as TFRecord wants it, little-endian."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)


def _crc_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_CRC_TABLE = tuple(_crc_entry(byte) for byte in range(256))


if __name__ == "__main__":
    sys.exit(main())
