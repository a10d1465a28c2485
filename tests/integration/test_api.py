"""The Python interface is there whatever was used of it before."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("first", ["train", "load", "plan_run", "Config"])
def test_train_is_a_function_whatever_is_used_first(first: str) -> None:
    program = f"import gnomon; gnomon.{first}; assert callable(gnomon.train) and callable(gnomon.train), gnomon.train"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
