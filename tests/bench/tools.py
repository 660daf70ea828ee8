"""What the recipe runs on, and strace, which counts the programs that are started."""

import subprocess
from pathlib import Path

from world.build import cache

HERE = Path(__file__).parent
VENV = cache() / "bench"
AWS = VENV / "bin/aws"


def are_there() -> bool:
    return AWS.exists()


def install() -> None:
    """Makes what is missing; quick when nothing is. Raises RuntimeError with the reason."""
    done = subprocess.run([HERE / "setup"], capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise RuntimeError(f"the recipe's tools cannot be had: {done.stderr.strip()}")
