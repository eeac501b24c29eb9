"""`python -m selfguide.micro.pretrain`: make the micro model from a seed. Run it again to go on where it stopped."""

from omegaconf import DictConfig

from selfguide.cli import command
from selfguide.micro.settings import pretraining


@command(config_name="micro_pretrain")
def main(config: DictConfig) -> float:
    """Pretrain; returns the last mean loss, for a sweep over recipes."""
    settings = pretraining(config)
    from selfguide.micro.training import pretrain

    return pretrain(settings)


if __name__ == "__main__":
    main()
