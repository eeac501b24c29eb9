"""The encoder classifier: a small student for tasks with labels, and what its gradients say of the data."""
