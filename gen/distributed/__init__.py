"""Several processes as one: they find each other, agree, and exchange values."""
