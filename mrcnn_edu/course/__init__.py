"""The course: what the notebooks use beside the package itself.

widgets    sliders over pictures, a file for each lesson
exercises  checks and solutions of the exercises, a file for each lesson
"""
