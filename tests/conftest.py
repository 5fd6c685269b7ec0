import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--serving-binary",
        help="Hold this tensorflow_model_server against the conformance cases, instead of the embedded server.",
    )
    parser.addoption(
        "--serving-address",
        metavar="HOST:GRPC_PORT:REST_PORT",
        help="Hold a running server against them; it serves what tests/serving/conformance/served_models.py wrote.",
    )
