"""Training: the loop, the one step that changes weights, and the one hand that changes everything else."""
