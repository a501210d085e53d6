"""Reports of usage for people who pay for it: by team, by kind, with prices, reproducible to the byte."""
