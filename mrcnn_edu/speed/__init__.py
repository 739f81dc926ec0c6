"""Speed: making a model faster, and finding out where the time goes.

replace_forward  replaces a layer's forward, and restores it
cuda_graphs      CUDA graphs: all kernels of a layer launched with one call
accelerate       torch.compile, bfloat16, channels-last memory and CUDA graphs, one line each
count_syncs      where a piece of code makes the CPU wait for the GPU
profiler         the seconds, operators and bytes of a piece of code
"""
