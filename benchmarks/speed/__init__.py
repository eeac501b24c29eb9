"""`make bench`: our schedules beside the reference's with engine=vllm, and against bare vLLM."""
