"""What is measured of drawn pictures: whether they show what was asked for, and whether noise decides the rest."""
