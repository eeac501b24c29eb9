"""The task linter: `lint_task` in Python, `selfguide lint task=…` on the command line."""

from selfguide.apps.lint.checks import Finding, lint_task

__all__ = ["Finding", "lint_task"]
