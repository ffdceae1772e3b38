"""Training objectives: likelihood and its penalties, R-Drop, minimum risk, scheduled sampling."""
