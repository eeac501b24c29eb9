"""The configuration: typed schema, where the YAML files are, and validation."""
