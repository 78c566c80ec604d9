"""The page lives beside the package; a checkout that is not installed finds it too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "viz"))
