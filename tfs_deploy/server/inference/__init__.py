"""One request on one servable: Predict, Classify, Regress and signature metadata."""
