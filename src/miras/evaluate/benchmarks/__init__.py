"""Benchmarks as files of cases: each reads its official files and says what is asked, and what is true."""
