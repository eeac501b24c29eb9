"""Write anew what golden tests compare with: `python -m tests.goldens`, then review the difference."""

from tests import test_chat_templates, test_prompts
from tests.config import test_identity
from tests.methods import test_prompts_neighbours


def main() -> None:
    """The prompts of `tests/golden/` and `tests/methods/golden/`, and the keys of `tests/config/identity.json`."""
    for module in (test_prompts, test_prompts_neighbours):
        for name, text in module.RENDERED.items():
            (module.GOLDEN / name).write_text(text, encoding="utf-8")
    test_chat_templates.write()
    test_identity.write()


if __name__ == "__main__":
    main()
