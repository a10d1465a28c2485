"""What the process keeps of compiled products is bounded."""

import subprocess
import sys

PRODUCTS = """
import sys
import psutil
import torch
from gnomon.base.machine import bound_kernel_caches, return_freed_memory

torch.set_num_threads(1)
if sys.argv[1] == "bound":
    bound_kernel_caches()
layer = torch.nn.Linear(128, 384)
for rows in range(8, 808):
    if rows == 408:
        return_freed_memory()
        before = psutil.Process().memory_info().rss
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        layer(torch.ones(rows, 128))
return_freed_memory()
print((psutil.Process().memory_info().rss - before) >> 20)
"""


def grown(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PRODUCTS, how], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_products_of_new_shapes_add_no_memory_once_the_caches_are_full() -> None:
    assert grown("bound") < 40  # 200 to 220 MiB where the caches are not bound, and the processor takes bfloat16
