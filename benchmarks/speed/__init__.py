"""Speed of the models, compared with other ways to run them and with the peak of the machine."""
