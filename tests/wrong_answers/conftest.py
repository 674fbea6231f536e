collect_ignore_glob = ["*.py"]  # answers to problem sets, read by test_assignments.py: nothing to import
