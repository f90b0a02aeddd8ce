"""The offline build's tools for tests, fetched once whether the app or its core asks first."""

from pathlib import Path

import pytest

from tools.offline_apk.errors import ToolMissingError
from tools.offline_apk.tools import Tools, bring_tools

TOOLS_FOLDER = Path(__file__).parents[2] / "tools/offline_apk/.tools"


@pytest.fixture(scope="session")
def android_tools() -> Tools:
    """They stay in the build's own folder from one run to the next."""
    try:
        return bring_tools(TOOLS_FOLDER)
    except ToolMissingError as error:
        pytest.skip(str(error))
