"""One request on one servable: Predict, Classify, Regress and MultiInference."""
