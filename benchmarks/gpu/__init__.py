"""`make gpu-check`: what must hold on a machine with GPUs, and what it takes there, beside the forecast."""
