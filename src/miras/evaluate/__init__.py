"""Run a model over held-out data, exactly as users run it, and write down what it did."""
