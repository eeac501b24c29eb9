#!/usr/bin/env bash
# The wheel alone, as a user gets it: no checkout, no extras, an environment of its own, an empty folder, the main job.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m hatchling build -t wheel -d "$work/dist" >/dev/null
"$python" -m venv "$work/venv"
pip="$work/venv/bin/python -m pip install --quiet --disable-pip-version-check"
$pip "torch==2.13.0"
$pip "$work"/dist/*.whl
cd "$work"
venv/bin/selfguide generation.target=20 generation.rounds=4 annotation.samples=2 annotation.best_of=2 \
  finetuning.epochs=1 finetuning.max_epochs=1 evaluation.limit=10
for extra in vllm wandb; do
  case $extra in
    vllm) arguments="engine=vllm" ;;
    wandb) arguments="tracking=wandb" ;;
  esac
  if message=$(venv/bin/selfguide $arguments 2>&1 >/dev/null); then echo "without $extra: no error"; exit 1; fi
  [ "$(printf '%s\n' "$message" | grep -c .)" = 1 ] || { printf '%s\n' "$message"; exit 1; }
  echo "without $extra: $message"
done
