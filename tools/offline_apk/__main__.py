"""`python -m tools.offline_apk`, from the repository's root."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tools.offline_apk.build import build
from tools.offline_apk.errors import BuildError
from tools.offline_apk.project import Project
from tools.offline_apk.tools import bring_tools
from tools.offline_apk.verify import verify

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "android_demo"
BAD_INPUT = 2


def main() -> None:
    asked = _parser().parse_args()
    try:
        _make(asked.output, asked.tools, asked.assets)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.offline_apk",
        description="Build the demo app without Gradle, sign it with a debug key, and verify it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    apk = HERE / ".build/edgepress-demo.apk"
    parser.add_argument("--output", type=Path, default=apk, help="the APK to write")
    parser.add_argument("--tools", type=Path, default=HERE / ".tools", help="where the tools are kept")
    assets = DEMO / "app/src/main/assets"
    parser.add_argument("--assets", type=Path, default=assets, help="what python -m export.android wrote")
    return parser


def _make(output: Path, tools_folder: Path, assets: Path) -> None:
    """Build beside the output, verify, and only then put it there."""
    start = time.monotonic()
    project, tools = Project(DEMO), bring_tools(tools_folder)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        made = Path(folder) / "app.apk"
        build(project, tools, Path(folder), made, assets if assets.is_dir() else None)
        apk = verify(project, tools, made)
        shutil.move(made, output)
    size = f"{output.stat().st_size / 1e6:.1f} MB, {apk.own_bytes / 1e6:.1f} MB without models"
    print(
        f"{output}: {size}; {', '.join(sorted(apk.abis))}; no permissions; {time.monotonic() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
