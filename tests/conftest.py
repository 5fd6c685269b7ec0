from collections.abc import Generator

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
    parser.addoption(
        "--all-installed",
        action="store_true",
        help="Fail a test that is skipped for want of something to install: whose reason begins with Install.",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    if report.skipped and item.config.getoption("--all-installed") and reason.startswith("Skipped: Install"):
        report.outcome = "failed"
        report.longrepr = reason
    return report
