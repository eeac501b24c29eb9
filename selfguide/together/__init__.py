"""Many jobs of one process on one engine: `hydra/launcher=together`.

Ten prompts do not fill a GPU, and an engine takes a minute to start. Here the jobs of a multirun
take turns in one thread (`turns`), and what they ask of the engine while none can go on is
answered in one call (`engine`). An answer's tokens do not depend on what else was asked: each job leaves
what it leaves alone, log-probabilities up to rounding.
"""
