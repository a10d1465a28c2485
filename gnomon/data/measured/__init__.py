"""Labels that the model measures itself while it trains: questions, what it said to them, and the rows made of both."""
