"""Speed: making a model faster, and finding out where the time goes.

accelerate   torch.compile, bfloat16, channels-last memory and CUDA graphs, one line each
profiler     the seconds, operators and bytes of a piece of code
count_syncs  where a piece of code makes the CPU wait for the GPU
"""
