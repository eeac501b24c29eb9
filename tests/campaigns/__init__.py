"""Faults by the thousand. Small in the slow tier; `pytest tests/campaigns --campaign-size=1` has the sizes of
docs/campaigns.md, and prints `N tried, N refused in a line, N healed, N as before, 0 defects`."""
