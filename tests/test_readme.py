"""What README shows is what was measured."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]


def table_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|") and not set(line) <= set("|-: ")]


def test_the_result_in_the_readme_is_one_of_the_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = table_lines(readme.split("## In Python")[0])
    assert len(shown) >= 4
    measured = [table_lines(path.read_text(encoding="utf-8")) for path in (ROOT / "benchmarks/results").glob("*.md")]
    assert any(all(line in lines for line in shown) for lines in measured)


def test_the_readme_says_plainly_what_is_agpl() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "AGPL-3.0" in readme and "Apache-2.0" in readme
