"""Files that no part may open, each of its own kind of wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch


class RunsCode:
    """Unpickled carelessly, it raises an error of its own."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return exec, ("raise SystemExit('the file ran')",)


def bad_files(folder: Path) -> list[Path]:
    """Missing, truncated, garbage, empty, wanting to run code, and whole but of no model of ours."""
    torch.save({"weight": torch.ones(1000)}, folder / "whole.pth")
    whole = (folder / "whole.pth").read_bytes()
    (folder / "truncated.pth").write_bytes(whole[: len(whole) // 2])
    (folder / "garbage.pth").write_bytes(bytes(range(256)) * 9)
    (folder / "empty.pth").touch()
    torch.save({"weight": RunsCode()}, folder / "malicious.pth")
    return [folder / f"{name}.pth" for name in ("missing", "truncated", "garbage", "empty", "malicious", "whole")]
