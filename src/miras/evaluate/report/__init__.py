"""A report of runs: tables in the paper's layout, strata, pictures, failures and where every figure comes from."""
