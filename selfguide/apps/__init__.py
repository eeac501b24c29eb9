"""The commands beside the main job; `selfguide/NAME.py` starts them."""
