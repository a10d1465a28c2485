"""Statements, questions and bytes a second of `gnomon data world`, on one core.

python bench/question_world.py
python bench/question_world.py --entities 20000 --json
"""

import argparse
import json
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from gnomon.data.world.documents import make_documents, record_of
from gnomon.data.world.facts import make_world
from gnomon.data.world.settings import Settings
from gnomon.data.world.write import write_world


def main() -> None:
    """Measure documents alone, then the whole folder, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=4000)
    parser.add_argument("--questions", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    settings = Settings(entities=arguments.entities, questions=arguments.questions, held_out=4000).checked()
    start = time.process_time()
    world = make_world(settings)
    for number, document in enumerate(make_documents(world)):
        record_of(document, number)
    middle = time.process_time()
    del world
    with TemporaryDirectory() as folder:
        made, _ = write_world(Path(folder) / "world", settings)
    end = time.process_time()
    asked = sum(one["all"] for one in made["counts"]["questions"].values())
    found = {
        "statements": settings.statements,
        "statements_a_second": round((settings.statements or 0) / (middle - start)),
        "questions": asked,
        "seconds_in_all": round(end - middle, 2),
        "megabytes": round(sum(one["bytes"] for one in made["files"].values()) / 1e6, 1),
        "peak_mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    if arguments.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name.replace('_', ' '):<22}{value:>14,}" for name, value in found.items()))


if __name__ == "__main__":
    main()
