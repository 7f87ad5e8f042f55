"""Dynamics."""
from hopcast.dynamics.run import run_dynamics
from hopcast.dynamics.dephasing import dephasing_time, dephasing_function
from hopcast.dynamics.rates import *
