"""From run directories to tables: find runs, summarise their scores, compare configurations, draw them."""
