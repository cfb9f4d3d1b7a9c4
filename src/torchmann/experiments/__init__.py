"""Experiments: tables and figures of papers as data, run, recorded and compared; and sweeps.

Read `experiment` for what an experiment is, `papers` for the declarations, `runner` for how they are trained, `record`
and `results` for what is kept, `comparison` for what it says.
"""
