"""The kinds of models that can be exported; ``kinds`` lists them."""
