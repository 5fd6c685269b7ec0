"""Measurements that anybody can repeat: speed, quality, the server and the data steps. Part of a checkout alone."""
