"""What every model has to beat: popularity, neighbours, and linear models in closed form."""
