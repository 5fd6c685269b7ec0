"""How fast the models are, beside other ways to run them and beside what the machine can do."""
