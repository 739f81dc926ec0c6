"""The course: what the notebooks use besides the package itself.

notebook_file  what is written in a notebook, apart from what running it leaves there
lessons        the notebooks, copied into a folder where a student works
confusion      lesson 11: which classes a detector confuses, pair by pair
training_runs  lesson 10: short training runs, one healthy and each of the others with one fault
coins          lesson 15: a photograph of coins, masks for them, and crops to train on
coin_runs      lesson 15: how many labeled coins a model needs, and what it should start from
gradients      lesson 15: which pixels decide on a detection's class, box and mask
widgets        sliders over pictures, a file for each lesson
lab            the ablation lab: settings of the reader's own, their runs and the evidence
solved         which exercises the reader has solved, kept in a file in her own folder
exercises      checks and solutions of the exercises, a file for each lesson and larger task
yours          your own parts inside the real network
progress       which exercises of each lesson are solved, as a table
small_triton   lesson 16: what a kernel reads and writes; a stand-in where there is no Triton
gpu_kernels    lesson 16: our kernels for its exercises
level_runs     lesson 04: detectors that were trained to read other pyramid levels, and their scores
"""
