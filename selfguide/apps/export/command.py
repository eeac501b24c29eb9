"""`selfguide export run=runs/… to=…`: dataset and weights of a run, with cards; see `conf/export.yaml`."""

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from selfguide.config.command import command
from selfguide.core.paths import expanded

if TYPE_CHECKING:
    from selfguide.config.commands import ExportConfig


@command("export")
def main(config: DictConfig) -> None:
    """Write the folders, say where they are, and upload them only if asked."""
    from selfguide.config.commands import ExportConfig, typed_command

    export_run(typed_command(config, ExportConfig))


def export_run(options: "ExportConfig") -> dict[str, Path]:
    """The folders written, by kind: dataset, model."""
    from selfguide.analysis.folder import RunFolder
    from selfguide.apps.export.dataset import export_dataset
    from selfguide.apps.export.weights import export_weights
    from selfguide.apps.run_folder import config_to_load

    run, target = RunFolder.open(options.run), expanded(options.to, "to")
    made: dict[str, Path] = {}
    if options.dataset:
        made["dataset"] = export_dataset(run, target / "dataset", options.license)
    if options.weights != "none":
        made["model"] = export_weights(
            run, config_to_load(run, options).model, target, options.weights, options.license
        )
    for kind, folder in made.items():
        print(f"{kind}: {folder}")
    if options.push_to_hub is not None:
        from selfguide.apps.export.hub import push

        for kind, folder in made.items():
            print(f"{kind}: {push(folder, options.push_to_hub, kind, options.private)}")
    return made
