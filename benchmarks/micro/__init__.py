"""The bundled micro model: its world, corpus, pretraining and benchmark."""
