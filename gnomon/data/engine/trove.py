"""What datatrove runs for us on Slurm: one executor for a stage, and in each of its tasks the jobs that fall to it.

A stage's folder holds `stage.json`; `tasks/<rank>.json`, the jobs of a task; `results/<number>.json`, what a job said,
there whole or not at all; and what datatrove keeps: script, logs, and which tasks are done.
"""

import sys
from pathlib import Path
from typing import Any

import orjson

from gnomon.base.errors import GnomonError
from gnomon.base.files import write_atomic
from gnomon.base.optional import need
from gnomon.base.progress import silent
from gnomon.data.engine.base import Job
from gnomon.data.engine.local import Pool
from gnomon.data.worker import Tell, answer, failed

WHY = "data.engine=slurm prepares text through it"
_executor: Any = need("datatrove.executor.slurm", extra="slurm", why=WHY)
_step: Any = need("datatrove.pipeline.base", extra="slurm", why=WHY)


class Executor(_executor.SlurmPipelineExecutor):
    """Datatrove's, for the tasks alone: no job that merges statistics, and no option that is left to the cluster."""

    def launch_merge_stats(self) -> None:
        """Do nothing: ours are in the results."""

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, Any]:
        """Return the options of `sbatch`."""
        options = super().get_sbatch_args(max_array)
        if self.mem_per_cpu_gb is None and "mem-per-cpu" not in self._sbatch_args:
            del options["mem-per-cpu"]
        return {name: value for name, value in options.items() if value is not None}


class Jobs(_step.PipelineStep):
    """The one step of the pipeline: does the jobs of a rank that have no result yet."""

    name, type = "jobs", "gnomon"

    def __init__(self, folder: str, processes: int) -> None:
        super().__init__()
        self.folder, self.processes = folder, processes

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> None:
        """Return nothing; what the jobs say is in the folder."""
        tasks, results = Path(self.folder, "tasks"), Path(self.folder, "results")
        own = orjson.loads((tasks / f"{rank:06d}.json").read_bytes())
        jobs = []
        for number, job in own:
            result = results / f"{number}.json"
            if not result.exists():
                args = {"job": job, "result": str(result)}
                jobs.append(Job("gnomon.data.engine.trove:do_one", args, job["weight"]))
        pool = Pool(self.processes)
        try:
            pool("jobs", jobs, silent)
        except GnomonError as e:  # a process died over the same job each time
            write_atomic(Path(next(j for j in jobs if not Path(j.args["result"]).exists()).args["result"]), failed(e))
        finally:
            pool.close()


def do_one(args: dict[str, Any], tell: Tell) -> None:
    """Do a job and leave what it says in a file of its own."""
    write_atomic(Path(args["result"]), answer(orjson.dumps(args["job"]), tell))


def main() -> None:
    """Submit what is not done yet of the stage whose folder is the first argument; print the job's number."""
    folder = Path(sys.argv[1])
    stage = orjson.loads((folder / "stage.json").read_bytes())
    executor = Executor([Jobs(str(folder), stage["processes"])], logging_dir=str(folder), **stage["executor"])
    executor.run()
    sys.stdout.write(f"{executor.job_id}\n")
