"""How much is measured: what `dev/bench` was told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """`runs` of what is measured again and again, `seconds` for which a wait is watched, `megabytes` of a database."""

    runs: int = 10
    seconds: float = 60.0
    megabytes: int = 100

    @classmethod
    def quick(cls) -> "Plan":
        """Enough to see that it works."""
        return cls(runs=2, seconds=10.0, megabytes=20)
