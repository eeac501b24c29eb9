"""`python -m benchmarks.micro.pretrain`: make the micro model from a seed. Run it again to go on where it stopped."""

from omegaconf import DictConfig

from benchmarks.micro.settings import pretraining
from selfguide.config.command import command


@command(config_name="micro_pretrain")
def main(config: DictConfig) -> float:
    """Pretrain; returns the last mean loss, for a sweep over recipes."""
    settings = pretraining(config)
    from benchmarks.micro.training import pretrain

    return pretrain(settings)


if __name__ == "__main__":
    main()
