"""``--no-skipped-real`` fails real tests that would be skipped, and those alone."""

import pytest

pytest_plugins = ["pytester"]

TESTS = """
    import pytest

    @pytest.fixture
    def photos():
        pytest.skip("no photos")

    @pytest.mark.real
    @pytest.mark.skipif(True, reason="no data")
    def test_skipped_by_a_mark(): pass

    @pytest.mark.real
    def test_skipped_by_a_fixture(photos): pass

    @pytest.mark.real
    def test_skipped_inside(): pytest.skip("no weights")

    @pytest.mark.real
    @pytest.mark.xfail(reason="known")
    def test_expected_to_fail(): assert False

    @pytest.mark.real
    def test_runs(): pass

    def test_not_real(): pytest.skip("another reason")
"""


@pytest.fixture
def run(pytester: pytest.Pytester):
    pytester.makeini("[pytest]\nmarkers = real: needs real data")
    return lambda *options: pytester.runpytest_inprocess("-p", "tests.real_guard", *options)


def test_skips_pass_without_the_option(run, pytester):
    pytester.makepyfile(TESTS)
    run().assert_outcomes(passed=1, skipped=4, xfailed=1)


def test_skipped_real_tests_fail_with_the_option(run, pytester):
    pytester.makepyfile(TESTS)
    result = run("--no-skipped-real")
    result.assert_outcomes(passed=1, skipped=1, xfailed=1, failed=1, errors=2)
    result.stdout.fnmatch_lines_random(["*Skipped: no data", "*Skipped: no photos", "*Skipped: no weights"])


@pytest.mark.parametrize(
    ("mark", "code"), [("real", pytest.ExitCode.INTERRUPTED), ("slow", pytest.ExitCode.NO_TESTS_COLLECTED)]
)
def test_a_module_that_skips_itself_fails_when_it_holds_real_tests(run, pytester, mark, code):
    pytester.makepyfile(f"import pytest\npytest.importorskip('not_a_package')\npytestmark = pytest.mark.{mark}")
    assert run("--no-skipped-real").ret == code
