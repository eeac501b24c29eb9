"""How good a model is: metrics, label extraction, floors and statistics."""
