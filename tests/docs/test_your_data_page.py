"""What docs/your_data.md says is what happens: its scripts and commands are run, with fewer steps."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "your_data.md").read_text()
QUICK = "--num-threads 1 --metric-preset fast --subgroup_sizes_ls [9] --quiet"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.slow
def test_the_commands_of_the_page_do_what_it_says(tmp_path):
    (tmp_path / "pictures").mkdir()
    for script in blocks("python"):
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    for block in blocks("bash"):
        for line in block.strip().splitlines():
            words = line.replace("--max-steps 300", "--max-steps 3").split()
            assert words[0] == "python"
            quick = QUICK.split() if "main.py" in words else []
            if words[1] == "main.py":
                words[1] = str(ROOT / "main.py")
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
            subprocess.run([sys.executable, *words[1:], *quick], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "logs/first/version_0/report.html").exists()
    assert (tmp_path / "pictures.crop.64x64x3.npy").exists()
    assert "UDR" in json.loads((tmp_path / "udr.json").read_text())["scores"]
    assert "discrete_mig" in json.loads((tmp_path / "logs/squares/version_0/scores.json").read_text())["scores"]
