"""Steps 1 to 4: new inputs, filters, outputs by vote, balance. Sees demonstrations only, never gold."""
