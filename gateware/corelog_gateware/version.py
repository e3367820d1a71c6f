"""What gateware and firmware made here call themselves."""

import importlib.metadata
import subprocess
from pathlib import Path


def version() -> str:
    return importlib.metadata.version("corelog-gateware")


def commit() -> str:
    """``+g<commit>``, with ``.changed`` where the sources differ from it; nothing without Git or a repository."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = ".changed" if git("status", "--porcelain", "--untracked-files=no") else ""
        return f"+g{git('rev-parse', '--short=12', 'HEAD')}{changed}"
    except (OSError, subprocess.CalledProcessError):
        return ""
