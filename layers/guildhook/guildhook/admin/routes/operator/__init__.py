"""The routes of operators, a file for each kind of resource."""
