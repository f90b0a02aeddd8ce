"""`python -m device_bench claims`."""

from device_bench.claims.config import ClaimsConfig
from edgepress import console


def _claims(config: ClaimsConfig) -> None:
    from device_bench.claims.pipeline import judge_claims  # imports that --help does not need

    judge_claims(config)


if __name__ == "__main__":
    console.run(ClaimsConfig, _claims, "python -m device_bench claims")
