"""One process of a training from files: `python -m selfguide.training.worker JOB_FOLDER`.

The folder holds what `TrainingJob.write` left; the weights come to stand in it. Any launcher can
start it, in as many processes as it likes.
"""

import sys
from pathlib import Path

from selfguide.training.distributed import die_with_parent, exit_together, process_count
from selfguide.training.job import TrainingJob


def main(folder: Path) -> None:
    """Train the job in `folder`, or go on with it."""
    from selfguide.training.trainer import run_job

    die_with_parent()
    run_job(TrainingJob.read(folder))
    if process_count() > 1:
        exit_together()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
