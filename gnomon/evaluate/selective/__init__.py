"""How well a predictor knows what it knows: order, calibration, risk against coverage, and a certified threshold."""
