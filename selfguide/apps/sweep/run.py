"""A sweep from its configuration to what it leaves: search, confirm the best, freeze the winner."""

import logging
from collections.abc import Sequence

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from selfguide.apps.sweep.confirm import Confirmation
from selfguide.apps.sweep.finish import finish, stop_early
from selfguide.apps.sweep.plan import read_plan
from selfguide.apps.sweep.running import Sweep
from selfguide.apps.sweep.storage import address, open_storage
from selfguide.apps.sweep.study import StudyLink
from selfguide.apps.sweep.view import View
from selfguide.apps.workers import Workers
from selfguide.search.racing import Job

log = logging.getLogger(__name__)


def run_sweep(config: DictConfig, launcher: Launcher, context: HydraContext, arguments: Sequence[str]) -> float | None:
    """See `SelfguideSweeper.sweep`."""
    plan = read_plan(config, context.config_loader, arguments)
    plan.folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, plan.folder / "multirun.yaml")
    link = StudyLink(plan, open_storage(plan.knobs.storage, plan.folder, plan.knobs.journal_lock))
    workers: Workers[Job] = Workers(launcher, config, plan.knobs.parallel)
    view = View(plan, live=not workers.in_process)
    for line in link.news:
        view.say(line)
    where = address(plan.knobs.storage, plan.folder)
    view.say(f"storage {where}; launcher {workers.name} with {workers.count} job(s) at once")
    with link.lease, view:
        try:
            Sweep(plan, link, workers, view).run()
            if plan.final is not None and plan.knobs.confirm is not None:
                Confirmation(plan, link, workers, view).confirm(plan.final, plan.knobs.confirm.finalists)
        except BaseException as reason:
            try:
                link.release()
                stop_early(plan, link, view)
            except Exception as error:  # a lock that the interrupt left behind, say: what stopped the sweep counts
                log.warning("the state of the study was not written: %s", str(error) or type(error).__name__)
            raise reason
    return finish(plan, link, view)
