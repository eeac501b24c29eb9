"""One job per GPU of this machine."""
