"""``pytest --no-skipped-real``: a test marked ``real`` that would be skipped fails.

For CI: a wrong path or a missing file must not look like success there.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--no-skipped-real", action="store_true", help="fail the tests marked real that would be skipped")


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"--no-skipped-real: a real test may not be skipped here. {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure, in the process that runs the test, so that xdist's controller sees it too."""
    report = yield
    real = item.get_closest_marker("real") is not None
    if real and report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("no_skipped_real"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself while it is imported, before its marks are known."""
    report = yield
    if report.skipped and isinstance(collector, pytest.Module) and collector.config.getoption("no_skipped_real"):
        real = "mark.real" in collector.path.read_text(encoding="utf-8")
        if real:
            _fail(report)
    return report
