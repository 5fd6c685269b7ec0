"""Ask a server with OpenVINO's client: `python ovms.py GRPC_ADDRESS REST_ADDRESS`; runs in an environment of its own.

The version is always named: left out, this client asks for version 0, which TensorFlow Serving takes at its word.
"""

import json
import sys
from typing import Any

import numpy as np
from ovmsclient import make_grpc_client, make_http_client

MODEL, VERSION = "half_plus_two", 123


def asked(client: Any) -> dict[str, object]:
    """Return what the client says of one model."""
    status = client.get_model_status(MODEL, VERSION)
    y = client.predict({"x": np.array([1.0, 2.0], np.float32)}, MODEL, VERSION)
    return {
        "status": {str(version): state["state"] for version, state in status.items()},
        "inputs": sorted(inputs(client.get_model_metadata(MODEL, VERSION))),
        "y": np.asarray(y).tolist(),
    }


def inputs(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs, which this client reads out of a gRPC answer and leaves in a REST one as they came."""
    if "inputs" in metadata:
        return metadata["inputs"]
    return metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]


if __name__ == "__main__":
    answers = {"grpc": asked(make_grpc_client(sys.argv[1])), "http": asked(make_http_client(sys.argv[2]))}
    print(json.dumps(answers))
